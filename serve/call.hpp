#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/codec/tree.hpp"
#include "config/store/store.hpp"
#include "serve/access.hpp"
#include "serve/api.hpp"

/// One request on its way through Api; for its sources alone.
namespace manul::serve {

struct Api::Call {
    const Request& request;
    const Route& route;
    const Surroundings& around;
    store::Store& store;
    Access access;
    std::vector<AuditEntry> audit;
    std::vector<std::string> warnings;

    [[nodiscard]] model::Key key() const {
        return {route.resource.kind, route.resource.ns.value_or(""), route.resource.name};
    }
};

/// How answers are to be written: the Accept header, includeObject, and whether the caller asks for secrets' values and
/// may see them.
[[nodiscard]] Outcome<Rendering> rendering_of(const Request& request, const Route& route, const Access& access,
                                              store::Store& store, std::int64_t now);
/// The last part alone, of Secrets of the namespace; what is referenced is read in the store at this moment.
[[nodiscard]] Outcome<SecretView> secret_view(const Route& route, const std::string& ns, const Access& access,
                                              store::Store& store);

/// Server-side apply; its body is YAML, of which JSON is a part.
inline constexpr std::string_view kApplyPatch = "application/apply-patch+yaml";

/// The body as a tree; null when there is none. JSON, YAML, or what document_of_protobuf knows. With `repeated`, of a
/// key of JSON that is given twice the last value counts, and its path is added there; else it is refused.
[[nodiscard]] Outcome<codec::Tree> parse_body(const Request& request, std::vector<std::string>* repeated = nullptr);

/// A number in the request's query; 0 when it is not given.
[[nodiscard]] Outcome<std::int64_t> integer_parameter(const Route& route, std::string_view name);

/// Refuses options of a list or a watch that contradict each other, as Kubernetes does.
[[nodiscard]] Outcome<void> check_list_options(const Route& route, bool watches);

/// labelSelector and fieldSelector.
[[nodiscard]] Outcome<Selection> selection_of(const Route& route);

/// A single object as the answer.
[[nodiscard]] Response object_response(model::Kind kind, std::string_view document, const Rendering& rendering,
                                       unsigned status = 200);

}  // namespace manul::serve
