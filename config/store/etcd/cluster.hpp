#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/store/etcd.hpp"
#include "config/store/etcd/member.hpp"
#include "config/store/store.hpp"

/// An etcd cluster as one server: which member is asked, as whom, how often, and what failures mean. A call goes to the
/// member that answered last; one that is away, or has no leader, sends it to the next, round and round until the
/// deadline. Blocking; one thread at a time.
namespace manul::store::etcd {

struct Endpoint {
    std::string url;  ///< as people wrote it
    MemberAddress address;
};
[[nodiscard]] Result<std::vector<Endpoint>> parse_endpoints(const std::vector<std::string>& urls);

class Cluster {
public:
    /// How members are come by: of the module, or a test's.
    using MakeMember = std::function<Result<std::unique_ptr<Member>>(const MemberAddress&, const TlsMaterial&)>;

    Cluster(EtcdOptions options, MakeMember make_member);

    [[nodiscard]] StoreResult<RangeAnswer> range(const RangeQuery& query);

    struct Committed {
        TxnAnswer answer;
        /// An earlier attempt may have been carried out: "failed" may mean that it was this very transaction that
        /// changed what is compared.
        bool unclear = false;
    };
    /// Safe to repeat because of what it compares, so it is repeated. `unknown_result` when no answer came in time.
    [[nodiscard]] StoreResult<Committed> commit(const Txn& txn);
    [[nodiscard]] StoreResult<void> compact(std::int64_t revision);

    /// A stream at the member in use. Ask range() before: it finds a member that works.
    [[nodiscard]] StoreResult<std::shared_ptr<WatchStream>> watch();
    /// What a stream ended with, for people; the next stream goes to another member.
    [[nodiscard]] StoreError stream_failed(const Failure& failure);
    /// The server refused a watch for the token: the next call gets a new one.
    void forget_token() noexcept { token_.clear(); }

private:
    template <class T>
    struct Outcome;
    template <class Make>
    [[nodiscard]] auto run(Make make);
    [[nodiscard]] Reply<void> log_in(SteadyTime deadline);
    [[nodiscard]] StoreResult<void> connect();
    /// Certificates are rotated while programs run: members are made anew when the files changed.
    [[nodiscard]] StoreResult<void> load_members();
    [[nodiscard]] StoreError explain(const Failure& failure) const;

    EtcdOptions options_;
    MakeMember make_member_;
    std::vector<Endpoint> endpoints_;
    TlsMaterial tls_;
    std::vector<std::unique_ptr<Member>> members_;
    std::size_t current_ = 0;
    std::string token_;
    bool wants_token_ = false;
};

/// Whether the text says that the token is of no use any more.
[[nodiscard]] bool is_stale_token(const Failure& failure) noexcept;

}  // namespace manul::store::etcd
