#include "config/store/document.hpp"

#include <sys/random.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/parse_options.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/storage_ptr.hpp>
#include <boost/json/value.hpp>
#include <boost/system/error_code.hpp>

#include "base/try.hpp"
#include "config/model/kind.hpp"
#include "config/store/store.hpp"

namespace manul::store {

namespace json = boost::json;

namespace {

constexpr std::size_t kMaxDepth = 64;

/// Walks JSON text that is known to be well formed (the store wrote it); on anything else it stops early. Letter by
/// letter: what it walks over is short, and each call of a search through memory costs more than it saves.
class Walker {
public:
    explicit Walker(std::string_view text) : text_(text) {}

    [[nodiscard]] std::size_t position() const { return at_; }
    [[nodiscard]] bool at_end() {
        skip_blanks();
        return at_ == text_.size();
    }

    bool accept(char wanted) {
        skip_blanks();
        if (at_ < text_.size() && text_[at_] == wanted) {
            ++at_;
            return true;
        }
        return false;
    }

    /// The raw text between the quotes.
    std::optional<std::string_view> string() {
        if (!accept('"')) {
            return std::nullopt;
        }
        const std::size_t start = at_;
        while (at_ < text_.size() && text_[at_] != '"') {
            at_ += text_[at_] == '\\' ? 2U : 1U;
        }
        if (at_ >= text_.size()) {
            at_ = text_.size();
            return std::nullopt;
        }
        return text_.substr(start, at_++ - start);
    }

    /// From the next value on.
    std::string_view rest() {
        skip_blanks();
        return text_.substr(at_);
    }

    /// The raw text of a value.
    std::optional<std::string_view> value() {
        skip_blanks();
        const std::size_t start = at_;
        return skip_value() ? std::optional(text_.substr(start, at_ - start)) : std::nullopt;
    }

    bool skip_value() {
        std::size_t depth = 0;
        do {
            skip_blanks();
            if (at_ >= text_.size()) {
                return false;
            }
            const char c = text_[at_];
            if (c == '"') {
                if (!string()) {
                    return false;
                }
            } else if (c == '{' || c == '[') {
                ++depth;
                ++at_;
            } else if (c == '}' || c == ']') {
                if (depth == 0) {
                    return false;
                }
                --depth;
                ++at_;
            } else if (depth > 0 && (c == ',' || c == ':')) {
                ++at_;
            } else {
                const std::size_t start = at_;
                while (at_ < text_.size() && !ends_word(text_[at_])) {
                    ++at_;
                }
                if (at_ == start || at_ == text_.size()) {
                    return false;
                }
            }
        } while (depth > 0);
        return true;
    }

private:
    static bool is_blank(char c) noexcept { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
    static bool ends_word(char c) noexcept { return c == ',' || c == ':' || c == ']' || c == '}' || is_blank(c); }

    void skip_blanks() {
        while (at_ < text_.size() && is_blank(text_[at_])) {
            ++at_;
        }
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

std::string_view text_or_empty(const json::value* value) {
    return value != nullptr && value->is_string() ? std::string_view(value->get_string()) : std::string_view{};
}

StoreError wrong_field(const model::Key& key, std::string_view path, std::string_view found, std::string_view wanted) {
    return error(StoreError::Code::invalid,
                 fmt::format("{}: {} is \"{}\", expected \"{}\"", key.to_string(), path, found, wanted));
}

/// The members of a document that the store looks at, as raw text; empty where there is none.
struct Outline {
    std::string_view api_version;
    std::string_view kind;
    std::string_view metadata;
    std::string_view spec;
};

/// Nothing when the text is no JSON object.
std::optional<Outline> outline(std::string_view document) {
    Walker walker(document);
    Outline out;
    if (!walker.accept('{')) {
        return std::nullopt;
    }
    do {
        const auto name = walker.string();
        const auto value = name && walker.accept(':') ? walker.value() : std::nullopt;
        if (!value) {
            return std::nullopt;
        }
        if (*name == "apiVersion") {
            out.api_version = *value;
        } else if (*name == "kind") {
            out.kind = *value;
        } else if (*name == "metadata") {
            out.metadata = *value;
        } else if (*name == "spec") {
            out.spec = *value;
        }
    } while (walker.accept(','));
    return walker.accept('}') && walker.at_end() ? std::optional(out) : std::nullopt;
}

/// What a new text of a document is compared with.
struct Before {
    std::string_view metadata;
    bool same_spec = false;
};

/// `spec` is that of the new text. Where both are objects, the stored one is not walked through: an object ends where
/// its text says, so that one which begins with the whole of the other is the other.
Before compare_with(std::string_view stored, std::string_view spec) {
    Walker walker(stored);
    Before out;
    std::string_view old_spec;
    if (!walker.accept('{')) {
        return out;
    }
    do {
        const auto name = walker.string();
        if (!name || !walker.accept(':')) {
            break;
        }
        if (*name == "spec" && !out.metadata.empty() && spec.starts_with('{')) {
            out.same_spec = walker.rest().starts_with(spec);
            return out;
        }
        const auto value = walker.value();
        if (!value) {
            break;
        }
        if (*name == "metadata") {
            out.metadata = *value;
        } else if (*name == "spec") {
            old_spec = *value;
        }
    } while (walker.accept(','));
    out.same_spec = spec == old_spec;
    return out;
}

/// Where the members of a document's metadata begin.
std::optional<std::size_t> inside_metadata(std::string_view document) {
    // Nearly always it is the first object inside the document. No text before it can look like this: in a text the
    // quotes would be escaped.
    const std::size_t brace = document.find('{', 1);
    if (brace != std::string_view::npos && document.substr(0, brace).ends_with(R"(,"metadata":)")) {
        return brace + 1;
    }
    Walker walker(document);
    if (!walker.accept('{')) {
        return std::nullopt;
    }
    do {
        const auto name = walker.string();
        if (!name || !walker.accept(':')) {
            return std::nullopt;
        }
        if (*name == "metadata") {
            return walker.accept('{') ? std::optional(walker.position()) : std::nullopt;
        }
        if (!walker.skip_value()) {
            return std::nullopt;
        }
    } while (walker.accept(','));
    return std::nullopt;
}

std::string_view unquoted(std::string_view value) {
    return value.size() >= 2 && value.front() == '"' ? value.substr(1, value.size() - 2) : std::string_view{};
}

StoreResult<json::value> parse(const model::Key& key, std::string_view text) {
    json::parse_options options;
    options.max_depth = kMaxDepth;
    boost::system::error_code failure;
    json::value value = json::parse(text, failure, json::storage_ptr{}, options);
    if (failure || !value.is_object()) {
        return std::unexpected(
            error(StoreError::Code::invalid, fmt::format("{}: the document is no JSON object{}{}", key.to_string(),
                                                         failure ? ": " : "", failure ? failure.message() : "")));
    }
    return value;
}

/// Whether the document is the one that its key says.
StoreResult<void> check_envelope(const model::Key& key, std::string_view api_version, std::string_view kind,
                                 const json::object& meta) {
    const model::KindInfo& info = model::info(key.kind);
    if (kind != info.name) {
        return std::unexpected(wrong_field(key, "kind", kind, info.name));
    }
    if (const std::string wanted = model::api_version(key.kind); api_version != wanted) {
        return std::unexpected(wrong_field(key, "apiVersion", api_version, wanted));
    }
    if (const auto found = text_or_empty(meta.if_contains("name")); found != key.name) {
        return std::unexpected(wrong_field(key, "metadata.name", found, key.name));
    }
    if (const auto found = text_or_empty(meta.if_contains("namespace")); found != key.ns) {
        return std::unexpected(wrong_field(key, "metadata.namespace", found, key.ns));
    }
    return {};
}

/// When its deletion was asked for is not for those to say who write it.
constexpr std::string_view kDeletion = "deletionTimestamp";

void stamp_new(json::object& meta, const Birth& birth) {
    meta.stable_erase("resourceVersion");
    meta["uid"] = birth.uid;
    meta["creationTimestamp"] = birth.creation_timestamp;
    meta["generation"] = 1;
}

bool is_uuid(std::string_view text) {
    constexpr std::string_view kForm = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    return std::ranges::equal(text, kForm, [](char c, char form) {
        return form == '-' ? c == '-' : (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    });
}

/// Who was somebody elsewhere stays so here: owner references and who remembers uids go by it.
Birth birth_of_moved(const json::object& meta, const Birth& birth) {
    const std::string_view uid = text_or_empty(meta.if_contains("uid"));
    const std::string_view born = text_or_empty(meta.if_contains("creationTimestamp"));
    return is_uuid(uid) && !born.empty() ? Birth{std::string(uid), std::string(born)} : birth;
}

StoreResult<void> stamp_changed(const model::Key& key, json::object& meta, const json::object& old_meta,
                                bool same_spec) {
    meta.stable_erase("resourceVersion");
    const std::string_view old_uid = text_or_empty(old_meta.if_contains("uid"));
    const std::string_view uid = text_or_empty(meta.if_contains("uid"));
    if (!uid.empty() && uid != old_uid) {
        return std::unexpected(
            error(StoreError::Code::conflict,
                  fmt::format("update conflict: {} has uid {}, not {}: it was deleted and created again",
                              key.to_string(), old_uid, uid)));
    }
    const auto keep = [&](std::string_view field) {
        if (const json::value* stored = old_meta.if_contains(field)) {
            meta[field] = *stored;
        } else {
            meta.stable_erase(field);
        }
    };
    keep("uid");
    keep("creationTimestamp");
    keep("generation");
    if (!same_spec) {
        const json::value* generation = old_meta.if_contains("generation");
        meta["generation"] = (generation != nullptr && generation->is_int64() ? generation->get_int64() : 0) + 1;
    }
    return {};
}

StoreError no_metadata(const model::Key& key) {
    return error(StoreError::Code::invalid, key.to_string() + ": metadata is missing");
}

}  // namespace

StoreError error(StoreError::Code code, std::string message) { return StoreError{code, std::move(message), {}}; }

std::optional<std::string> with_resource_version(std::string_view document, std::string_view revision) {
    const auto at = inside_metadata(document);
    if (!at) {
        return std::nullopt;
    }
    std::string out;
    out.reserve(document.size() + revision.size() + 24);
    out.append(document.substr(0, *at)).append(R"("resourceVersion":")").append(revision).append("\"");
    Walker rest(document.substr(*at));
    if (!rest.accept('}')) {
        out += ',';
    }
    out.append(document.substr(*at));
    return out;
}

StoreError damaged(const model::Key& key) {
    return error(StoreError::Code::corrupt,
                 key.to_string() + " fails its checksum in the store; delete it and create it again");
}

StoreResult<Object> object_of(model::Key key, Revision revision, std::optional<std::string_view> body) {
    if (!body) {
        return std::unexpected(damaged(key));
    }
    auto document = with_resource_version(*body, revision);
    if (!document) {
        return std::unexpected(error(StoreError::Code::corrupt, key.to_string() + " is no JSON object in the store"));
    }
    return Object{std::move(key), std::move(revision), std::make_shared<const std::string>(*std::move(document))};
}

void add_row(Listing& listing, model::Key key, Revision revision, std::optional<std::string_view> body) {
    // Not by object_of: its arguments would be gone when it fails.
    auto document = body ? with_resource_version(*body, revision) : std::nullopt;
    if (document) {
        listing.items.push_back(
            Object{std::move(key), std::move(revision), std::make_shared<const std::string>(*std::move(document))});
    } else {
        StoreError error = object_of(key, revision, body).error();
        listing.damaged.push_back(DamagedObject{std::move(key), std::move(revision), std::move(error)});
    }
}

StoreResult<json::object> parse_document(const model::Key& key, std::string_view text) {
    MANUL_TRY(json::value value, parse(key, text));
    json::object& object = value.get_object();
    const json::value* metadata = object.if_contains("metadata");
    if (metadata == nullptr || !metadata->is_object()) {
        return std::unexpected(no_metadata(key));
    }
    MANUL_CHECK(check_envelope(key, text_or_empty(object.if_contains("apiVersion")),
                               text_or_empty(object.if_contains("kind")), metadata->get_object()));
    return std::move(object);
}

StoreResult<void> stamp(const model::Key& key, json::object& document, const json::object* before, const Birth& birth) {
    json::object& meta = document["metadata"].get_object();
    meta.stable_erase(kDeletion);
    if (before == nullptr) {
        stamp_new(meta, birth);
        return {};
    }
    if (const json::value* asked = before->at("metadata").as_object().if_contains(kDeletion)) {
        meta[kDeletion] = *asked;
    }
    const json::value* spec = document.if_contains("spec");
    const json::value* old_spec = before->if_contains("spec");
    const bool same = spec == nullptr || old_spec == nullptr ? spec == old_spec : *spec == *old_spec;
    return stamp_changed(key, meta, before->at("metadata").as_object(), same);
}

StoreResult<std::string> stamp_text(const model::Key& key, std::string_view text,
                                    std::optional<std::string_view> before, const Birth& birth) {
    const auto found = outline(text);
    if (!found) {
        return std::unexpected(error(StoreError::Code::invalid, key.to_string() + ": the document is no JSON object"));
    }
    if (found->metadata.empty() || found->metadata.front() != '{') {
        return std::unexpected(no_metadata(key));
    }
    MANUL_TRY(json::value metadata, parse(key, found->metadata));
    json::object& meta = metadata.get_object();
    MANUL_CHECK(check_envelope(key, unquoted(found->api_version), unquoted(found->kind), meta));
    if (before) {
        const Before old = compare_with(*before, found->spec);
        MANUL_TRY(const json::value old_meta, parse(key, old.metadata));
        MANUL_CHECK(stamp_changed(key, meta, old_meta.get_object(), old.same_spec));
    } else {
        stamp_new(meta, birth_of_moved(meta, birth));
    }
    const auto at = static_cast<std::size_t>(found->metadata.data() - text.data());
    std::string out;
    out.reserve(text.size() + 160);  // what the store adds
    out.append(text.substr(0, at)).append(json::serialize(meta)).append(text.substr(at + found->metadata.size()));
    return out;
}

std::string make_uid() {
    std::array<std::uint32_t, 4> words{};
    static_assert(sizeof(words) <= 256, "up to here the kernel gives everything at once");
    static_cast<void>(::getrandom(words.data(), sizeof(words), 0));
    words[1] = (words[1] & 0xffff0fffU) | 0x4000U;
    words[2] = (words[2] & 0x3fffffffU) | 0x80000000U;
    return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:04x}{:08x}", words[0], words[1] >> 16U, words[1] & 0xffffU,
                       words[2] >> 16U, words[2] & 0xffffU, words[3]);
}

std::string format_timestamp(std::int64_t unix_seconds) {
    const auto seconds = static_cast<std::time_t>(unix_seconds);
    std::tm utc{};
    ::gmtime_r(&seconds, &utc);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                       utc.tm_hour, utc.tm_min, utc.tm_sec);
}

}  // namespace manul::store
