#include "config/store/kubernetes/api.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "base/ascii.hpp"
#include "base/try.hpp"
#include "config/store/document.hpp"
#include "config/store/kubernetes/access.hpp"
#include "config/store/kubernetes/http.hpp"
#include "config/store/kubernetes/json_text.hpp"
#include "config/store/store.hpp"

namespace manul::store::kubernetes {

namespace json = boost::json;
using Code = StoreError::Code;
using std::chrono::milliseconds;

namespace {

/// Of one call, each after a pause that the server names or that doubles.
constexpr int kAttempts = 4;
constexpr milliseconds kFirstPause{100};
constexpr milliseconds kLongestPause{5000};
constexpr std::size_t kLongestQuote = 200;
const std::string kForbidden = "not allowed (403): ";

/// The fields that a Status complains about, one line each.
std::vector<std::string> causes_of(const json::object& status) {
    std::vector<std::string> lines;
    for (const json::value& cause : array_at(object_at(status, "details"), "causes")) {
        if (cause.is_object()) {
            const std::string field = text_at(cause.get_object(), "field");
            lines.push_back((field.empty() ? "" : field + ": ") + text_at(cause.get_object(), "message"));
        }
    }
    return lines;
}

std::optional<Code> store_code(std::string_view name) {
    static constexpr std::array<std::pair<std::string_view, Code>, 11> kNames{{{"not_found", Code::not_found},
                                                                               {"already_exists", Code::already_exists},
                                                                               {"conflict", Code::conflict},
                                                                               {"invalid", Code::invalid},
                                                                               {"unsupported", Code::unsupported},
                                                                               {"too_large", Code::too_large},
                                                                               {"compacted", Code::compacted},
                                                                               {"unavailable", Code::unavailable},
                                                                               {"unknown_result", Code::unknown_result},
                                                                               {"newer_schema", Code::newer_schema},
                                                                               {"corrupt", Code::corrupt}}};
    const auto found = std::ranges::find(kNames, name, &std::pair<std::string_view, Code>::first);
    return found == kNames.end() ? std::nullopt : std::optional(found->second);
}

bool is_busy(unsigned status) { return status == 429 || status == 502 || status == 503; }

}  // namespace

std::string percent_encoded(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const bool plain = ascii::is_alphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~' || c == ':';
        out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

std::string target_of(std::string_view path, const Query& query) {
    std::string target(path);
    char separator = '?';
    for (const auto& [key, value] : query) {
        target += separator + percent_encoded(key) + "=" + percent_encoded(value);
        separator = '&';
    }
    return target;
}

StoreError error_of(unsigned status, std::string_view body, const Access& access) {
    std::error_code failed;
    const json::value parsed = json::parse({body.data(), body.size()}, failed);
    const json::object answer = !failed && parsed.is_object() ? parsed.get_object() : json::object{};
    std::string message = text_at(answer, "message");
    if (message.empty()) {
        const std::string_view quote = body.substr(0, kLongestQuote);
        message =
            fmt::format("the API server answered {}: {}", status, quote.substr(0, quote.find_last_not_of("\r\n ") + 1));
    }
    const std::string reason = text_at(answer, "reason");
    // Manul's own server says what its store said.
    if (const auto said = store_code(text_at(object_at(answer, "details"), "storeCode"))) {
        return StoreError{*said, message, causes_of(answer)};
    }
    switch (status) {
        case 401:
            return error(Code::unavailable,
                         "the API server does not accept the credentials of " + access.where + " (401): " + message);
        case 403:
            return error(Code::unavailable, kForbidden + message);
        case 404:
            return error(Code::not_found, message);
        case 409:
            return error(reason == "AlreadyExists" ? Code::already_exists : Code::conflict, message);
        case 410:
            return error(Code::compacted, message);
        case 413:
            return error(Code::too_large, message);
        case 400:
        case 422:
            return StoreError{Code::invalid, message, causes_of(answer)};
        default:
            return error(status >= 400 && status < 500 && status != 429 ? Code::unsupported : Code::unavailable,
                         message);
    }
}

bool is_forbidden(const StoreError& failed) {
    return failed.code == Code::unavailable && failed.message.starts_with(kForbidden);
}

StoreResult<json::object> parse_answer(std::string_view text) {
    std::error_code failed;
    json::value parsed = json::parse({text.data(), text.size()}, failed);
    if (failed || !parsed.is_object()) {
        return std::unexpected(error(Code::unavailable, "the API server's answer is no JSON object"));
    }
    return std::move(parsed.get_object());
}

Api::Api(Credentials credentials, std::unique_ptr<HttpClient> client, milliseconds timeout)
    : credentials_(std::move(credentials)), client_(std::move(client)), timeout_(timeout) {}

StoreResult<json::object> Api::get(std::string_view path, const Query& query) {
    MANUL_TRY(const std::string text, get_text(path, query));
    return parse_answer(text);
}

StoreResult<std::string> Api::get_text(std::string_view path, const Query& query) {
    return send({.method = "GET", .target = target_of(path, query), .body = {}, .content_type = {}, .token = {}});
}

StoreResult<json::object> Api::write(std::string method, std::string_view path, const Query& query,
                                     const json::object& body, const char* content_type) {
    MANUL_TRY(const std::string text, send({.method = std::move(method),
                                            .target = target_of(path, query),
                                            .body = body.empty() ? std::string() : json::serialize(body),
                                            .content_type = content_type,
                                            .token = {}}));
    return parse_answer(text);
}

StoreResult<std::string> Api::send(HttpRequest request) {
    const bool reads = request.method == "GET";
    bool asked_again = false;
    milliseconds pause = kFirstPause;
    for (int attempt = 1;; ++attempt) {
        auto token = credentials_.token();
        if (!token) {
            return std::unexpected(error(Code::unavailable, token.error().message));
        }
        request.token = *std::move(token);
        auto answer = client_->send(request, [this] { return credentials_.identity(); }, timeout_);
        const bool last = attempt == kAttempts;
        if (!answer) {
            // A write that may have been done is never repeated: the caller reads back.
            if (!reads && answer.error().was_sent) {
                return std::unexpected(error(Code::unknown_result, answer.error().message));
            }
            return std::unexpected(error(Code::unavailable, answer.error().message));
        }
        if (answer->status == 401 && !asked_again) {
            asked_again = true;  // the token may have been replaced a moment ago
            credentials_.refused();
            continue;
        }
        if (is_busy(answer->status) && !last) {
            const milliseconds wanted = answer->retry_after ? milliseconds(*answer->retry_after) : pause;
            std::this_thread::sleep_for(std::min(wanted, kLongestPause));
            pause *= 2;
            continue;
        }
        if (answer->status >= 300) {
            return std::unexpected(error_of(answer->status, answer->body, credentials_.access()));
        }
        return std::move(answer->body);
    }
}

}  // namespace manul::store::kubernetes
