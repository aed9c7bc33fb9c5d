#include "ipam/io/journal.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/core.h>

#include "base/try.hpp"

namespace manul::ipam {

namespace {

constexpr std::size_t kMaxJournalFile = kMaxMessage;

std::unexpected<Error> failed(const std::string& path, std::string_view what) {
    return fail(fmt::format("{}: cannot {}: {}", path, what, std::strerror(errno)));  // NOLINT(concurrency-mt-unsafe)
}

std::optional<std::string> read_all(int fd, std::size_t limit) {
    std::string text;
    std::array<char, 16384> buffer{};
    for (;;) {
        const ssize_t count = ::read(fd, buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0 || text.size() > limit) {
            return std::nullopt;
        }
        if (count == 0) {
            return text;
        }
        text.append(buffer.data(), static_cast<std::size_t>(count));
    }
}

/// "D <id> <json>" or "E <id>".
struct Line {
    char kind = 0;
    std::uint64_t id = 0;
    std::string_view rest;
};

std::optional<Line> parse_line(std::string_view text) {
    if (text.size() < 3 || (text[0] != 'D' && text[0] != 'E') || text[1] != ' ') {
        return std::nullopt;
    }
    Line line{.kind = text[0]};
    const auto [end, ec] = std::from_chars(text.data() + 2, text.data() + text.size(), line.id);
    if (ec != std::errc{}) {
        return std::nullopt;
    }
    line.rest = text.substr(static_cast<std::size_t>(end - text.data()));
    if (!line.rest.empty()) {
        line.rest.remove_prefix(1);
    }
    return line;
}

}  // namespace

Result<DeleteLog> DeleteLog::open(const std::string& path) {
    UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!file) {
        return failed(path, "open");
    }
    DeleteLog log(std::move(file), path);
    MANUL_CHECK(log.load());
    return log;
}

Result<void> DeleteLog::load() {
    auto text = read_all(file_.get(), std::size_t{64} << 20U);
    if (!text) {
        return failed(path_, "read");
    }
    text->resize(std::min(text->find('\0'), text->size()));
    const std::size_t whole = text->rfind('\n') == std::string::npos ? 0 : text->rfind('\n') + 1;
    std::string_view rest = std::string_view(*text).substr(0, whole);
    while (!rest.empty()) {
        const std::size_t newline = rest.find('\n');
        const auto line = parse_line(rest.substr(0, newline));
        rest.remove_prefix(newline + 1);
        if (!line) {
            continue;
        }
        next_id_ = std::max(next_id_, line->id + 1);
        if (line->kind == 'E') {
            pending_.erase(line->id);
        } else if (auto request = decode_request(line->rest)) {
            pending_.insert_or_assign(line->id, *std::move(request));
        }
    }
    size_ = whole;
    // With whatever a torn write left behind it.
    if (::ftruncate(file_.get(), static_cast<off_t>(whole)) != 0) {
        return failed(path_, "cut off a torn line");
    }
    lengthen();
    return {};
}

/// A flush of a file that grows waits for its length and blocks to be noted as well. Where there is no room for zeros,
/// the file grows with its lines.
void DeleteLog::lengthen() {
    const std::string zeros(std::size_t{64} << 10U, '\0');
    for (std::uint64_t at = size_; at < length_;) {
        const auto count = std::min<std::uint64_t>(zeros.size(), length_ - at);
        const ssize_t written = ::pwrite(file_.get(), zeros.data(), count, static_cast<off_t>(at));
        if (written <= 0) {
            cut_off();
            return;
        }
        at += static_cast<std::uint64_t>(written);
    }
}

Result<void> DeleteLog::write(const std::string& text) {
    for (std::size_t written = 0; written < text.size();) {
        const ssize_t count =
            ::pwrite(file_.get(), text.data() + written, text.size() - written, static_cast<off_t>(size_ + written));
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            auto error = failed(path_, "write");
            cut_off();
            return error;
        }
        written += static_cast<std::size_t>(count);
    }
    size_ += text.size();
    return {};
}

/// What was written behind the last whole line is nobody's beginning, and nothing that a restart should find.
void DeleteLog::cut_off() { (void)!::ftruncate(file_.get(), static_cast<off_t>(size_)); }

Result<void> DeleteLog::compact() {
    const std::string path = path_ + ".new";
    DeleteLog fresh(UniqueFd(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)), path);
    if (!fresh.file_) {
        return failed(path, "open");
    }
    std::string text;
    for (const auto& [id, request] : pending_) {
        text += fmt::format("D {} {}\n", id, encode(request));
    }
    MANUL_CHECK(fresh.write(text));
    fresh.length_ = std::max(kLength, 2 * fresh.size_);
    fresh.lengthen();
    if (::fsync(fresh.file_.get()) != 0 || std::rename(path.c_str(), path_.c_str()) != 0) {
        return failed(path, "replace the log by");
    }
    file_ = std::move(fresh.file_);
    size_ = fresh.size_;
    length_ = fresh.length_;
    unwritten_.clear();
    return {};
}

Result<std::vector<std::uint64_t>> DeleteLog::append(std::span<const Request> requests) {
    std::string text;
    std::vector<std::uint64_t> ids;
    for (const Request& request : requests) {
        ids.push_back(next_id_++);
        text += fmt::format("D {} {}\n", ids.back(), encode(request));
    }
    if (size_ + unwritten_.size() + text.size() > length_) {
        MANUL_CHECK(compact());
    }
    const std::uint64_t before = size_;
    MANUL_CHECK(write(unwritten_ + text));
    if (::fdatasync(file_.get()) != 0) {
        auto error = failed(path_, "flush");
        // What is refused must not be carried out after a restart: its container may have come back by then.
        size_ = before;
        cut_off();
        return error;
    }
    unwritten_.clear();
    for (std::size_t i = 0; i < ids.size(); ++i) {
        pending_.emplace(ids[i], requests[i]);
    }
    return ids;
}

void DeleteLog::done(std::span<const std::uint64_t> ids) {
    for (const std::uint64_t id : ids) {
        if (pending_.erase(id) != 0) {
            unwritten_ += fmt::format("E {}\n", id);
        }
    }
    if (write(unwritten_)) {
        unwritten_.clear();
    }
}

namespace {

Result<Request> read_journal_file(const std::string& path, const UniqueFd& file) {
    const auto text = file ? read_all(file.get(), kMaxJournalFile) : std::nullopt;
    auto request = text ? decode_request(*text) : Result<Request>(fail("cannot be read"));
    if (request && request->op != Op::del) {
        request = fail("is no release");
    }
    if (!request) {
        return fail(path + ": " + request.error().message);
    }
    return request;
}

}  // namespace

JournalScan scan_journal(const std::string& directory) {
    JournalScan scan;
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(directory.c_str()), ::closedir);
    if (!entries) {
        return scan;  // the plugin makes it when it needs it
    }
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(entries.get())) {  // NOLINT(concurrency-mt-unsafe): own stream
        const std::string_view name = entry->d_name;
        if (name.ends_with(".json") && !name.starts_with('.')) {
            names.emplace_back(name);
        }
    }
    std::ranges::sort(names);
    for (const std::string& name : names) {
        const std::string path = directory + "/" + name;
        const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
        if (!file && errno != ELOOP) {
            continue;  // gone meanwhile, or for want of descriptors it can be read next time
        }
        if (auto request = read_journal_file(path, file)) {
            scan.files.push_back({path, *std::move(request)});
        } else {
            scan.refused.push_back(request.error().message);
            (void)std::rename(path.c_str(), (path + ".refused").c_str());
        }
    }
    return scan;
}

std::optional<JournalFile> find_journal_file(const std::string& directory, const Request& request) {
    const std::string path = directory + "/" + journal_name(request);
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file) {
        return std::nullopt;
    }
    auto found = read_journal_file(path, file);
    return found ? std::optional(JournalFile{path, *std::move(found)}) : std::nullopt;
}

void remove_journal_file(const JournalFile& file) { (void)::unlink(file.path.c_str()); }

}  // namespace manul::ipam
