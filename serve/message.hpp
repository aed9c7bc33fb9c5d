#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

/// `manulctl serve`: Manul's resources over the conventions of the Kubernetes API, on any store that has transactions.
///
///   bytes ─ io/http_server ─▶ Request ─ target ─▶ Route ─ rights ─▶ Api ─▶ Store
///                                                                    │
///   bytes ◀─ io/http_server ◀── Response, or a watch that Hub feeds ◀┘
///
/// Everything outside io/ is a function from requests and stored documents to answers: no sockets, threads or clock.
///
/// Invariants: rights are judged before anything is told about an object; no request can make the program fail, only
/// its own answer; values of Secrets leave only for who may `reveal` them; each write has a line in the audit log.
namespace manul::serve {

struct Request {
    std::string method;
    std::string target;  ///< path and query, as sent
    std::string body;
    std::string content_type;
    std::string content_encoding;
    std::string accept;
    std::string accept_encoding;
    std::string if_none_match;
    std::string user_agent;
    std::string source;  ///< address of the client
    bool impersonates = false;
};

struct Response {
    unsigned status = 200;
    std::string content_type = "application/json";
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers;
};

/// Who asks. An empty user is nobody: the request brought no credentials that are known.
struct Caller {
    std::string user;
    std::string uid;
    std::vector<std::string> groups;
};

inline constexpr const char* kAdminGroup = "system:masters";
inline constexpr const char* kEveryoneGroup = "system:authenticated";

}  // namespace manul::serve
