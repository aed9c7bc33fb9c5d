#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "felix/io/nft_apply.hpp"
#include "felix/nft/counters.hpp"
#include "felix/nft/isolate.hpp"
#include "felix/nft/tracker.hpp"
#include "felix/nft/transaction.hpp"
#include "felix/render/ruleset.hpp"

namespace manul::felix::io {

/// The nftables rules of this node: what is wanted, what the kernel holds, and commits from one to the other.
///
/// Whatever the kernel does not accept now is part of the next commit. A single chain or set that it refuses is left
/// out and reported, and delays nothing else. Changes that others make to our tables are noticed, and undone by the
/// next commit; whether there was any change at all is told by the kernel's generation, a number that each commit
/// raises.
class RulesetSync {
public:
    [[nodiscard]] static Result<RulesetSync> open();

    /// Rules of an earlier run, which stay in force until the first commit.
    struct Found {
        bool rules = false;
        /// The pair of class chains (egress, ingress) that each link group stands for.
        std::vector<std::pair<std::pair<std::string, std::string>, std::uint32_t>> groups;
    };
    /// Reads what the kernel holds. Once, before anything else.
    [[nodiscard]] Result<Found> start();

    void want(const render::Change& change) { tracker_.change(change); }
    /// The rules that the kernel has or is about to get.
    [[nodiscard]] const render::Ruleset& wanted() const noexcept { return tracker_.wanted(); }

    /// Contents of plain sets are compared with what is wanted; large ones are written anew by the next commit, since
    /// reading takes longer than writing.
    void compare_members();
    /// To be called before commits: reads back whatever is not known. After a failed commit, or a change by others,
    /// that is everything.
    [[nodiscard]] Result<void> prepare();

    struct Commit {
        bool done = false;   ///< else something is still to be committed
        std::string reason;  ///< why it was not done
        /// Somebody else committed at the same time, unheard, perhaps into our tables: a look is due soon.
        bool overlapped = false;
    };
    [[nodiscard]] Commit commit(nft::Scope scope);
    /// The last commit was not done.
    [[nodiscard]] bool is_pending() const noexcept { return pending_; }

    /// Chains and sets that the kernel has refused.
    [[nodiscard]] bool has_withheld() const noexcept { return !withheld_.empty(); }
    /// The next commit tries them again: the reason may have gone.
    void release_withheld();

    /// Readable when somebody committed; then call take_foreign_changes().
    [[nodiscard]] int fd() const noexcept { return monitor_.fd(); }
    /// Whether others have changed our tables.
    [[nodiscard]] bool take_foreign_changes();
    /// Whether the generation is another than after our last commit; the next prepare() compares everything then.
    [[nodiscard]] bool check_generation();

    /// Counters of every rule that has an id, one for each chain that holds it; they survive edits of other rules.
    [[nodiscard]] Result<std::vector<nft::RuleCounter>> counters();

    struct Status {
        std::vector<std::string> problems;  ///< why a commit failed, or objects were left out
        std::uint64_t commits = 0;
        std::uint64_t last_commit_us = 0;
        std::uint64_t commit_us_total = 0;
        std::uint64_t failures = 0;  ///< transactions that the kernel refused
        std::uint64_t drifts = 0;    ///< how often somebody else had changed our tables
    };
    [[nodiscard]] const Status& status() const noexcept { return status_; }

private:
    RulesetSync(NftSocket socket, NftMonitor monitor) : socket_(std::move(socket)), monitor_(std::move(monitor)) {}

    [[nodiscard]] nft::Attempt attempt(nft::Transaction& transaction, bool& overlapped);
    [[nodiscard]] bool is_lasting(const nft::Transaction& transaction, const CommitResult& result);
    [[nodiscard]] bool is_overtaken(const nft::Transaction& transaction, const CommitResult& result);
    void carry_counters(nft::Transaction& transaction);
    void report_withheld(const std::vector<nft::Withheld>& withheld);
    [[nodiscard]] Result<void> read_back();
    void read_rules();

    NftSocket socket_;
    NftMonitor monitor_;
    nft::Tracker tracker_;
    nft::CounterLedger counters_;
    std::uint32_t generation_ = 0;  ///< as of our last commit, or of what was read last
    bool pending_ = false;
    bool must_read_back_ = false;
    std::map<nft::ObjectName, std::string> withheld_;  ///< with the kernel's reason
    Status status_;
};

}  // namespace manul::felix::io
