#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "felix/nft/encode.hpp"
#include "felix/nft/foreign.hpp"
#include "felix/nft/import.hpp"
#include "felix/nft/tracker.hpp"
#include "felix/nft/transaction.hpp"
#include "felix/nft/verify.hpp"

/// The nf_tables socket: commits transactions, reads our tables back, hears who changes them.
namespace manul::felix::io {

/// What became of a transaction.
struct CommitResult {
    enum class Outcome : std::uint8_t {
        done,
        refused,  ///< the kernel changed nothing; `problems` say why
        stale,    ///< somebody else committed since the given generation; nothing was changed
        unknown,  ///< the answer was lost: the transaction may be in force or not
    };
    Outcome outcome = Outcome::unknown;
    /// One line each: what was to be done with which object, and the kernel's reason.
    std::vector<std::string> problems;
    std::optional<std::size_t> command;  ///< the first that was refused, where the kernel named one
    int error = 0;                       ///< errno of the first refusal
    std::vector<nft::RuleHandle> rules;  ///< that were made
    std::size_t bytes = 0;               ///< of the batch
};

/// One long-lived socket for requests (closing one waits until deleted objects are destroyed). It stays in the network
/// namespace in which it was opened. The kernel works inside the send call; answers are there when it returns.
class NftSocket {
public:
    [[nodiscard]] static Result<NftSocket> open();
    /// Tables that it makes belong to it where the kernel knows that: see nft::kOwnedTable.
    [[nodiscard]] static Result<NftSocket> open_owner();

    [[nodiscard]] CommitResult commit(const nft::Transaction& transaction,
                                      std::optional<std::uint32_t> generation = std::nullopt);

    /// What the kernel holds of our tables, as of one generation.
    struct Snapshot {
        nft::KernelState state;
        std::uint32_t generation = 0;
    };
    [[nodiscard]] Result<Snapshot> read();
    /// The same with the expressions of rules and the elements of sets, anonymous ones too; `wants_elements` tells
    /// which named sets are to be read (a million elements take 16 s).
    using WantsElements = std::function<bool(const render::TableKey& table, const std::string& set)>;
    [[nodiscard]] Result<nft::KernelContents> contents(const WantsElements& wants_elements);
    [[nodiscard]] Result<std::uint32_t> generation();
    /// Members of a plain set; nothing when it changed meanwhile, or has more than `most`: the socket is of no use
    /// then.
    [[nodiscard]] Result<std::optional<render::Members>> members(const render::TableKey& table, const std::string& set,
                                                                 std::size_t most);
    /// Tables with chains that Calico made.
    [[nodiscard]] Result<std::set<std::string>> calico_tables();
    /// Of ipset, all owners'.
    [[nodiscard]] Result<std::set<std::string>> ip_sets();
    /// Chains of other owners that hang in the packet path, and whether they drop what no rule of theirs accepted.
    [[nodiscard]] Result<std::vector<nft::ForeignChain>> foreign_chains();
    /// Rules of one chain; nothing when they changed meanwhile.
    [[nodiscard]] Result<std::optional<std::vector<nft::KernelChain::Rule>>> rules(const render::TableKey& table,
                                                                                   const std::string& chain);
    /// Counters of all rules that have an id.
    [[nodiscard]] Result<std::vector<nft::RuleCounter>> counters();
    /// Counters of one chain, or of a whole table when `chain` is empty; none when it is not there.
    [[nodiscard]] Result<std::vector<nft::RuleCounter>> counters(const render::TableKey& table,
                                                                 const std::string& chain);

private:
    explicit NftSocket(UniqueFd fd);

    /// False: the dump changed under our feet.
    /// `on_message` may return false to stop, and then the socket is of no further use.
    template <class OnMessage>
    [[nodiscard]] Result<bool> dump(const netlink::RequestBuffer& request, OnMessage on_message);
    template <class OnMessage>
    [[nodiscard]] Result<bool> dump(nft::DumpKind kind, const render::TableKey& table, const std::string& object,
                                    OnMessage on_message);
    [[nodiscard]] Result<bool> read_once(Snapshot& snapshot);
    [[nodiscard]] Result<bool> contents_once(nft::KernelContents& contents, const WantsElements& wants_elements);
    [[nodiscard]] Result<void> send(std::span<const std::uint8_t> bytes);
    [[nodiscard]] Result<std::span<const std::uint8_t>> receive();
    void collect(const nft::Batch& batch, const nft::Transaction& transaction, CommitResult& result);
    void make_room(std::size_t bytes);

    UniqueFd fd_;
    std::vector<std::uint8_t> buffer_;
    std::size_t send_room_ = 0;
    bool own_tables_ = false;
};

/// Listens to all commits in the namespace and reports those that touched our tables and were not made by this process.
class NftMonitor {
public:
    [[nodiscard]] static Result<NftMonitor> open();
    [[nodiscard]] int fd() const noexcept { return fd_.get(); }

    struct Heard {
        std::string who;    ///< changed our tables: program and process; empty when nobody did
        bool lost = false;  ///< some notices did not fit into the buffer
    };
    /// Reads what is there, never blocks.
    [[nodiscard]] Heard take();

    /// Stops listening until join(). While anybody listens, the kernel creates a message for each object of a commit
    /// and keeps them all until the commit is done: for a million set elements four gigabytes and 20 s.
    void leave() noexcept { listen(false); }
    void join() noexcept { listen(true); }

private:
    explicit NftMonitor(UniqueFd fd);
    void listen(bool on) noexcept;

    UniqueFd fd_;
    std::vector<std::uint8_t> buffer_;
    std::string own_name_;
    bool ours_touched_ = false;
};

}  // namespace manul::felix::io
