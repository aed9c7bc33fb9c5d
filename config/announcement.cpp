#include "config/announcement.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace manul::config {

namespace {

constexpr std::string_view kExpected = "expected 1 ";
constexpr std::string_view kWithdrawn = "withdrawn 1 ";

/// The part before `end`, taken off `text`; all of it where there is no `end`.
std::string_view take_until(std::string_view& text, char end) {
    const std::size_t at = text.find(end);
    const std::string_view part = text.substr(0, at);
    text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
    return part;
}

}  // namespace

std::optional<std::string> encode(const Announcement& announcement) {
    const bool expected = announcement.kind == Announcement::Kind::expected;
    std::string out(expected ? kExpected : kWithdrawn);
    out += announcement.revision;
    for (const Announcement::Endpoint& endpoint : announcement.endpoints) {
        out += '\n';
        out += endpoint.ns;
        out += '/';
        out += endpoint.name;
        if (expected) {
            if (endpoint.document->find('\n') != std::string::npos) {
                return std::nullopt;
            }
            out += ' ';
            out += *endpoint.document;
        }
    }
    return out.size() <= kMaxAnnouncement ? std::optional(std::move(out)) : std::nullopt;
}

std::optional<Announcement> decode_announcement(std::string_view text) {
    Announcement out;
    if (text.starts_with(kWithdrawn)) {
        out.kind = Announcement::Kind::withdrawn;
    } else if (!text.starts_with(kExpected)) {
        return std::nullopt;
    }
    const bool expected = out.kind == Announcement::Kind::expected;
    text.remove_prefix(expected ? kExpected.size() : kWithdrawn.size());
    out.revision = take_until(text, '\n');
    while (!text.empty()) {
        std::string_view line = take_until(text, '\n');
        std::string_view key = take_until(line, ' ');
        Announcement::Endpoint endpoint;
        endpoint.ns = take_until(key, '/');
        endpoint.name = key;
        if (endpoint.ns.empty() || endpoint.name.empty() || line.empty() == expected) {
            return std::nullopt;
        }
        if (expected) {
            endpoint.document = std::make_shared<const std::string>(line);
        }
        out.endpoints.push_back(std::move(endpoint));
    }
    return out.revision.empty() || out.endpoints.empty() ? std::nullopt : std::optional(std::move(out));
}

std::string announcement_socket(const std::string& run_dir) { return run_dir + "/felix-expected.sock"; }

}  // namespace manul::config
