#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <vector>

#include "config/model/kind.hpp"
#include "config/model/node.hpp"
#include "config/model/service.hpp"
#include "config/store/store.hpp"
#include "ipam/core/draft.hpp"
#include "ipam/service/store_source.hpp"

/// Group commit: all changes that wait go into one transaction, each object written once.
namespace manul::ipam {

/// What a change works on: allocation, endpoints and profiles as they will be after the commit.
class Transaction {
public:
    explicit Transaction(StoreSource& source) noexcept : source_(source), ipam_(source) {}

    [[nodiscard]] StoreSource& source() noexcept { return source_; }
    [[nodiscard]] Draft& ipam() noexcept { return ipam_; }
    [[nodiscard]] const Draft& ipam() const noexcept { return ipam_; }

    using Endpoints = Overlay<model::Key, model::WorkloadEndpoint>;
    using Profiles = Overlay<model::Key, model::Profile>;
    [[nodiscard]] Outcome<std::shared_ptr<const model::WorkloadEndpoint>> endpoint(const model::Key& key);
    /// The endpoint of an attachment of this node in that network (empty: in any), null when there is none.
    [[nodiscard]] Outcome<std::shared_ptr<const model::WorkloadEndpoint>> find(const Attachment& attachment,
                                                                               std::string_view network);
    /// Null removes.
    [[nodiscard]] Outcome<void> put_endpoint(const model::Key& key,
                                             std::shared_ptr<const model::WorkloadEndpoint> endpoint);
    [[nodiscard]] Outcome<void> create_profile(const model::Profile& profile);
    using Nodes = Overlay<model::Key, model::Node>;
    /// Null when there is none.
    [[nodiscard]] Outcome<std::shared_ptr<const model::Node>> node(const std::string& name);
    /// Changes `spec` of a Node that exists.
    [[nodiscard]] Outcome<void> put_node(const std::string& name, const model::NodeSpec& spec);

    using Services = Overlay<model::Key, model::Service>;
    /// Null when there is none.
    [[nodiscard]] Outcome<std::shared_ptr<const model::Service>> service(const model::Key& key);
    /// Of a Service that exists.
    [[nodiscard]] Outcome<void> put_service_status(const model::Key& key, const model::ServiceStatus& status);

    [[nodiscard]] const Endpoints& endpoints() const noexcept { return endpoints_; }
    [[nodiscard]] const Profiles& profiles() const noexcept { return profiles_; }
    [[nodiscard]] const Nodes& nodes() const noexcept { return nodes_; }
    [[nodiscard]] const Services& services() const noexcept { return services_; }

    struct Savepoint {
        Draft::Savepoint ipam;
        std::size_t endpoints = 0;
        std::size_t profiles = 0;
        std::size_t nodes = 0;
        std::size_t services = 0;
    };
    [[nodiscard]] Savepoint savepoint() const noexcept;
    void roll_back(const Savepoint& to);
    /// Objects that a commit would write.
    [[nodiscard]] std::size_t changed_count() const noexcept;

private:
    StoreSource& source_;
    Draft ipam_;
    Endpoints endpoints_;
    Profiles profiles_;
    Nodes nodes_;
    Services services_;
};

/// A change of one request. May run several times, each time on fresh reads: whatever it reports must be assigned, not
/// added up. An error rolls back this change alone.
using Change = std::function<Outcome<void>(Transaction&)>;

/// Commits changes with compare-and-swap and repeats them when another writer was faster.
class Committer {
public:
    struct Limits {
        std::size_t keys = 90;  ///< a transaction takes 100; one change needs about six
        std::size_t attempts = 100;
    };

    Committer(store::Store& store, StoreSource& source, Limits limits) noexcept
        : store_(store), source_(source), limits_(limits) {}
    Committer(store::Store& store, StoreSource& source) noexcept : Committer(store, source, Limits{}) {}

    /// One result for each change, in order: the revision of its commit (empty when it wrote nothing), or why it was
    /// not made. A store that cannot be reached fails all that is left.
    [[nodiscard]] std::vector<Outcome<store::Revision>> run(std::span<const Change> changes);

    /// Transactions that were committed, and attempts that another writer spoiled.
    [[nodiscard]] std::size_t commits() const noexcept { return commits_; }
    [[nodiscard]] std::size_t conflicts() const noexcept { return conflicts_; }
    /// Why the store did not take the last transaction, for a reason that is not the transaction's own. Nothing when it
    /// took it.
    [[nodiscard]] const std::optional<Failure>& problem() const noexcept { return problem_; }

private:
    using Results = std::vector<Outcome<store::Revision>>;

    /// Runs changes from the beginning of `changes` until the transaction is full; returns how many.
    std::size_t gather(std::span<const Change> changes, Transaction& transaction, Results& results);
    /// Commits as many changes as fit into one transaction, at most `most`. Returns how many are done with.
    std::size_t commit_some(std::span<const Change> changes, std::size_t most, Results& results);

    store::Store& store_;
    StoreSource& source_;
    Limits limits_;
    std::atomic<std::size_t> commits_ = 0;  // read for metrics by another thread
    std::atomic<std::size_t> conflicts_ = 0;
    std::optional<Failure> problem_;
};

}  // namespace manul::ipam
