#include "felix/io/last_good_journal.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "config/codec/json.hpp"
#include "felix/io/messages.hpp"

namespace manul::felix::io {

namespace {

constexpr std::size_t kSpareLines = 1000;

std::string line_of(const model::Key& key, const std::string* document) {
    boost::json::object line{{"apiVersion", model::api_version(key.kind)},
                             {"kind", model::info(key.kind).name},
                             {"namespace", key.ns},
                             {"name", key.name}};
    if (document != nullptr) {
        line["document"] = *document;
    }
    return boost::json::serialize(line) + "\n";
}

std::string text_of(const boost::json::object& line, std::string_view field) {
    const auto* value = line.if_contains(field);
    return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string{};
}

bool write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t count = ::write(fd, text.data(), text.size());
        if (count < 0) {
            return false;
        }
        text.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
}

}  // namespace

LastGoodJournal::LastGoodJournal(const std::string& state_dir)
    : directory_(state_dir + "/felix/last-good"), path_(directory_ + "/journal") {}

std::vector<model::ResourcePtr> LastGoodJournal::load() {
    std::ifstream file(path_);
    for (std::string text; std::getline(file, text);) {
        ++lines_;
        boost::system::error_code error;
        const auto parsed = boost::json::parse(text, error);
        const auto* line = error ? nullptr : parsed.if_object();
        const auto kind =
            line == nullptr ? std::nullopt : model::find_kind(text_of(*line, "apiVersion"), text_of(*line, "kind"));
        if (!kind) {
            continue;
        }
        const model::Key key{*kind, text_of(*line, "namespace"), text_of(*line, "name")};
        if (line->contains("document")) {
            live_[key] = text_of(*line, "document");
        } else {
            live_.erase(key);
        }
    }
    std::vector<model::ResourcePtr> found;
    for (const auto& [key, document] : live_) {
        codec::Decoded decoded = codec::decode_and_validate(key.kind, document, codec::Mode::lenient);
        if (decoded.ok()) {
            found.push_back(std::move(decoded.resource));
        }
    }
    return found;
}

void LastGoodJournal::write(const std::vector<Entry>& entries) {
    std::string text;
    for (const Entry& entry : entries) {
        if (entry.document) {
            live_[entry.key] = *entry.document;
        } else {
            live_.erase(entry.key);
        }
        text += line_of(entry.key, entry.document.get());
        ++lines_;
    }
    const bool outdated = lines_ > 2 * live_.size() + kSpareLines;
    if (!(outdated ? rewrite() : append(text))) {
        log::emit(kJournalFailed, path_, std::strerror(errno));
        file_.reset();
    }
}

bool LastGoodJournal::append(const std::string& text) {
    if (!file_) {
        std::error_code error;
        std::filesystem::create_directories(directory_, error);
        file_.reset(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    }
    return file_ && write_all(file_.get(), text);
}

bool LastGoodJournal::rewrite() {
    const std::string temporary = path_ + ".new";
    UniqueFd fresh(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    std::string text;
    for (const auto& [key, document] : live_) {
        text += line_of(key, &document);
    }
    if (!fresh || !write_all(fresh.get(), text) || ::fsync(fresh.get()) != 0 ||
        std::rename(temporary.c_str(), path_.c_str()) != 0) {
        return false;
    }
    file_.reset();
    lines_ = live_.size();
    return true;
}

}  // namespace manul::felix::io
