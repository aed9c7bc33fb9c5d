#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "serve/message.hpp"
#include "serve/status.hpp"
#include "serve/target.hpp"

/// What the server says about itself: groups, versions and resources (discovery), and their fields (OpenAPI). All of it
/// follows from the table of kinds and the field tables.
namespace manul::serve {

/// One group and version, in the order in which they are offered: kubectl takes the first one that has a name.
struct GroupVersion {
    std::string group;
    std::string version;

    [[nodiscard]] std::string text() const { return group.empty() ? version : group + "/" + version; }
    bool operator==(const GroupVersion&) const = default;
};
[[nodiscard]] const std::vector<GroupVersion>& group_versions();

/// Kinds that people may only read: their writers are daemons, which use transactions.
[[nodiscard]] bool is_read_only(model::Kind kind) noexcept;
/// Namespaces are deleted one by one: one request would else delete all there is.
[[nodiscard]] bool can_delete_collection(model::Kind kind) noexcept;
/// Kinds with a status of their own to write.
[[nodiscard]] bool has_status(model::Kind kind) noexcept;

/// The answer to a route of type `document`.
[[nodiscard]] Outcome<Response> document_answer(const Route& route, const Request& request);

/// OpenAPI v3 of one group and version, as JSON.
[[nodiscard]] std::string openapi_v3(const GroupVersion& version);
/// OpenAPI v2 of everything, as the protobuf message openapi.v2.Document, which older clients ask for.
[[nodiscard]] std::string openapi_v2();

}  // namespace manul::serve
