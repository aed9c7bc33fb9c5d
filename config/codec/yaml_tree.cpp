#include "config/codec/yaml_tree.hpp"

#include <yaml-cpp/anchor.h>
#include <yaml-cpp/emitterstyle.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <istream>
#include <optional>
#include <streambuf>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/codec/seen_keys.hpp"
#include "config/codec/tree.hpp"
#include "config/model/finding.hpp"

namespace manul::codec {

namespace {

using model::Finding;

/// Builds a tree from the parser's events. Events instead of its node graph: an alias cannot become a cycle or a
/// million nodes, duplicate keys are seen, and quoted scalars are told from plain ones.
class TreeBuilder final : public YAML::EventHandler {
public:
    void OnDocumentStart(const YAML::Mark& mark) override { start_ = mark.pos; }
    void OnDocumentEnd() override {}

    void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { add(mark, Tree{}); }

    void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
        if (Tree* at = add(mark, Tree{})) {
            error(at->line, "aliases (*name) are not supported; write the value out");
        }
    }

    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, const std::string& value) override {
        if (takes_key()) {
            key(mark, value);
            return;
        }
        Tree scalar = tag == "?" ? plain(value) : Tree::of_text(value);
        const Tree* at = add(mark, std::move(scalar));
        if (at != nullptr && !is_plain_or_text(tag)) {
            error(at->line, "tags (" + tag + ") are not supported");
        } else if (const char* other = tag == "?" ? older_reading(value) : nullptr; at != nullptr && other != nullptr) {
            document_.advice.push_back(
                {.path = last_path_,
                 .message = "Calico's tools read " + value + " as " + other + "; put it in quotes, or write " + other,
                 .severity = Finding::Severity::warning,
                 .line = at->line});
        }
    }

    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                         YAML::EmitterStyle::value) override {
        open(mark, tag, Tree::Type::list);
    }
    void OnSequenceEnd() override { close(); }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                    YAML::EmitterStyle::value) override {
        open(mark, tag, Tree::Type::map);
    }
    void OnMapEnd() override { close(); }

    [[nodiscard]] YamlDocument take() { return std::move(document_); }
    [[nodiscard]] int start() const noexcept { return start_; }

private:
    /// A list or map that is being read. What is put into a skipped one is dropped.
    struct Level {
        Tree* tree = nullptr;
        std::optional<Tree> pending_key;  ///< map: key whose value comes next; line and key are set
        bool skipped = false;
        bool drops_next = false;  ///< map: its key was not one
        std::string path;
        SeenKeys seen;  ///< map
    };

    static bool is_plain_or_text(const std::string& tag) {
        return tag.empty() || tag == "?" || tag == "!" || tag == "tag:yaml.org,2002:str";
    }

    static Tree plain(const std::string& value) {
        if (value == "true" || value == "false") {
            return {.type = Tree::Type::boolean, .text = value};
        }
        return is_json_number(value) ? Tree::of_number(value) : Tree::of_text(value);
    }

    /// What YAML 1.1 makes of a word that is text here; null when it is text there too. Of its `y` and `n` nothing is
    /// said: they are names too often.
    static const char* older_reading(const std::string& value) {
        for (const char* yes : {"yes", "Yes", "YES", "on", "On", "ON", "True", "TRUE"}) {
            if (value == yes) {
                return "true";
            }
        }
        for (const char* no : {"no", "No", "NO", "off", "Off", "OFF", "False", "FALSE"}) {
            if (value == no) {
                return "false";
            }
        }
        return nullptr;
    }

    static std::uint32_t line_of(const YAML::Mark& mark) {
        return static_cast<std::uint32_t>(std::max(mark.line, 0) + 1);
    }

    void error(std::uint32_t line, std::string message) {
        document_.findings.push_back({.path = last_path_, .message = std::move(message), .line = line});
    }

    [[nodiscard]] bool takes_key() const {
        return !levels_.empty() && levels_.back().tree != nullptr && levels_.back().tree->is_map() &&
               !levels_.back().pending_key && !levels_.back().skipped;
    }

    void key(const YAML::Mark& mark, const std::string& name) {
        Level& level = levels_.back();
        level.pending_key = Tree{.key = name, .line = line_of(mark)};
        last_path_ = path_with_key(level.path, name);
        if (name == "<<") {
            error(line_of(mark), "merge keys (<<) are not supported; write the fields out");
        }
    }

    /// Puts a value where it belongs; null when it is dropped.
    Tree* add(const YAML::Mark& mark, Tree value) {
        value.line = line_of(mark);
        if (levels_.empty()) {
            last_path_.clear();
            document_.tree = std::move(value);
            return &document_.tree;
        }
        Level& level = levels_.back();
        if (level.skipped) {
            return nullptr;
        }
        if (level.tree->is_list()) {
            last_path_ = level.path + "[" + std::to_string(level.tree->children.size()) + "]";
            return &level.tree->children.emplace_back(std::move(value));
        }
        if (!level.pending_key) {  // a null or a collection where a key should be
            last_path_ = level.path;
            error(value.line, "a key must be text");
            level.drops_next = true;
            level.pending_key = Tree{};
            return nullptr;
        }
        Tree slot = *std::exchange(level.pending_key, std::nullopt);
        if (std::exchange(level.drops_next, false)) {
            return nullptr;
        }
        last_path_ = path_with_key(level.path, slot.key);
        if (const auto first = level.seen.line_of(*level.tree, slot.key)) {
            error(slot.line, "given twice, first in line " + std::to_string(*first));
            return nullptr;
        }
        slot.assign(std::move(value));
        return &level.tree->children.emplace_back(std::move(slot));
    }

    void open(const YAML::Mark& mark, const std::string& tag, Tree::Type type) {
        Tree* tree = add(mark, Tree{.type = type});
        const bool too_deep = levels_.size() >= static_cast<std::size_t>(kMaxTreeDepth);
        if (tree != nullptr && too_deep && !reported_depth_) {
            error(tree->line, "nested more than " + std::to_string(kMaxTreeDepth) + " deep");
            reported_depth_ = true;
        }
        if (tree != nullptr && !is_plain_or_text(tag)) {
            error(tree->line, "tags (" + tag + ") are not supported");
        }
        levels_.push_back({.tree = tree, .skipped = tree == nullptr || too_deep, .path = last_path_, .seen = {}});
    }

    void close() { levels_.pop_back(); }

    int start_ = -1;
    YamlDocument document_;
    /// Pointers into document_ stay good: a level's children grow only while no deeper level is open.
    std::vector<Level> levels_;
    std::string last_path_;
    bool reported_depth_ = false;
};

/// A stream over text that is not copied.
class TextBuffer final : public std::streambuf {
public:
    explicit TextBuffer(std::string_view text) {
        char* begin = const_cast<char*>(text.data());  // only read from
        setg(begin, begin, begin + text.size());
    }
};

/// Of text that is not UTF-8: no character reaches over the end of a line.
std::uint32_t first_bad_line(std::string_view text) {
    std::uint32_t line = 1;
    for (; !text.empty(); ++line) {
        const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
        if (!is_utf8(text.substr(0, end))) {
            break;
        }
        text.remove_prefix(end);
    }
    return line;
}

std::optional<Finding> bad_character(std::string_view text) {
    std::uint32_t line = 1;
    for (const char c : text) {
        const auto code = static_cast<unsigned char>(c);
        if (c == '\n') {
            ++line;
        } else if ((code < 0x20 && c != '\t' && c != '\r') || code == 0x7f) {
            return Finding{.message = "control character " + std::to_string(code) + " in the text", .line = line};
        }
    }
    if (!is_utf8(text)) {
        return Finding{.message = "the text is not UTF-8", .line = first_bad_line(text)};
    }
    return std::nullopt;
}

/// The parser's words, and what they usually come from.
std::string explained(const YAML::Exception& failure, std::string_view text) {
    for (int line = 0; line < failure.mark.line && !text.empty(); ++line) {
        text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
    }
    const std::string_view indentation = text.substr(0, text.find_first_not_of(" \t"));
    if (indentation.find('\t') != std::string_view::npos) {
        return "not YAML: a tab in the indentation; only spaces may indent";
    }
    const bool placed_wrongly = failure.msg == "illegal map value" || failure.msg == "illegal block entry" ||
                                failure.msg == "end of map not found" || failure.msg == "end of sequence not found";
    return "not YAML: " + failure.msg +
           (placed_wrongly ? "; is this line indented as what it belongs to, and text with ': ' in it quoted?" : "");
}

}  // namespace

YamlFile parse_yaml(std::string_view text) {
    YamlFile file;
    if (const auto bad = bad_character(text)) {
        file.findings.push_back(*bad);
        return file;
    }
    TextBuffer buffer(text);
    std::istream stream(&buffer);
    try {
        YAML::Parser parser(stream);
        for (int last_start = -1;;) {
            TreeBuilder builder;
            if (!parser.HandleNextDocument(builder)) {
                break;
            }
            YamlDocument document = builder.take();
            if (builder.start() == last_start) {
                // At a ',' after a closed bracket the parser gives empty documents for ever without reading on.
                file.findings.push_back({.message = "not YAML: unexpected ','", .line = document.tree.line});
                break;
            }
            last_start = builder.start();
            file.documents.push_back(std::move(document));
        }
    } catch (const YAML::Exception& e) {
        file.findings.push_back(
            {.message = explained(e, text), .line = static_cast<std::uint32_t>(std::max(e.mark.line, 0) + 1)});
    }
    return file;
}

}  // namespace manul::codec
