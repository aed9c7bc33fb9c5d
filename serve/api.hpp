#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/codec/tree.hpp"
#include "config/model/kind.hpp"
#include "config/store/store.hpp"
#include "serve/access.hpp"
#include "serve/audit.hpp"
#include "serve/message.hpp"
#include "serve/page_cache.hpp"
#include "serve/rights.hpp"
#include "serve/secrets.hpp"
#include "serve/selection.hpp"
#include "serve/status.hpp"
#include "serve/table.hpp"
#include "serve/target.hpp"

namespace manul::serve {

/// How objects are written in an answer.
struct Rendering {
    std::optional<TableOptions> table;  ///< nothing: as they are
    SecretView secrets;                 ///< which values of secrets are shown
    std::string metadata_version;       ///< of meta.k8s.io, for who wants PartialObjectMetadata; empty: whole objects

    /// The document of one object, as it may be shown.
    [[nodiscard]] std::string document(model::Kind kind, std::string_view stored) const;
};

/// A watch that was admitted; the hub feeds it.
struct WatchRequest {
    model::Kind kind{};
    std::optional<std::string> ns;
    Selection selection;
    Rendering rendering;
    /// Whether the caller may see the object; empty: he may see all.
    std::function<bool(const codec::Tree&)> visible;
    store::Revision revision;          ///< events after it
    std::vector<std::string> initial;  ///< documents that come first, as ADDED
    bool marks_initial_end = false;    ///< a bookmark follows them
    bool bookmarks = false;
    bool outdated = false;  ///< at the revision the caller was perhaps not shown all secrets that he may see by now
    std::int64_t timeout_seconds = 0;
};

struct Answer {
    Response response;
    std::vector<WatchRequest> watches;  ///< instead of the response's body: one stream of all their events
    std::vector<AuditEntry> audit;
};

/// What all requests share.
struct Surroundings {
    std::shared_ptr<const Rights> rights;
    std::int64_t now = 0;  ///< seconds since 1970
};

/// Answers requests from one store. As a Store, it belongs to one thread at a time; pages of long lists are shared.
class Api {
public:
    Api(store::Store& store, PageCache& pages) : store_(store), pages_(pages) {}

    /// Never fails: whatever is wrong is told in the answer.
    [[nodiscard]] Answer handle(const Request& request, const Caller& caller, const Surroundings& around);

private:
    struct Call;  ///< one request under way

    [[nodiscard]] Outcome<Answer> dispatch(Call& call);
    [[nodiscard]] Outcome<Answer> resource(Call& call);
    [[nodiscard]] Outcome<Answer> get(Call& call);
    [[nodiscard]] Outcome<Answer> list(Call& call);
    [[nodiscard]] Outcome<Answer> watch(Call& call);
    [[nodiscard]] Outcome<Answer> watches(Call& call);
    [[nodiscard]] Outcome<Answer> access_review(Call& call) const;
    [[nodiscard]] Outcome<Answer> rules_review(Call& call) const;
    [[nodiscard]] Outcome<Answer> self_review(Call& call) const;

    store::Store& store_;
    PageCache& pages_;
};

}  // namespace manul::serve
