#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.hpp"

/// One member of an etcd cluster as a client sees it: bytes by key, transactions, watches, no decisions. gRPC is seen
/// in grpc_member.cpp alone, which is the module `manul-store-etcd.so`: libgrpc costs 57 shared objects and 12 ms at
/// each start, and who uses another datastore pays nothing.
namespace manul::store::etcd {

using SteadyTime = std::chrono::steady_clock::time_point;

/// Why a call failed: gRPC's codes, of which these mean something here.
enum class Rpc : int {
    invalid_argument = 3,
    deadline_exceeded = 4,
    permission_denied = 7,
    resource_exhausted = 8,
    failed_precondition = 9,
    out_of_range = 11,  ///< compacted, or not there yet
    unavailable = 14,
    data_loss = 15,
    unauthenticated = 16,
};
struct Failure {
    int code = 0;
    std::string message;

    [[nodiscard]] bool is(Rpc what) const noexcept { return code == static_cast<int>(what); }
};
template <class T>
using Reply = std::expected<T, Failure>;

/// What goes with each call.
struct Call {
    SteadyTime deadline;
    std::string token;  ///< of authenticate(); empty: none
};

/// As etcd has it: an empty `end` means this one key, else all keys from `key` up to but without `end`.
struct Range {
    std::string key;
    std::string end;

    /// All keys that begin with `prefix`.
    [[nodiscard]] static Range of_prefix(std::string prefix);
};

struct Entry {
    std::string key;
    std::string value;
    std::int64_t revision = 0;  ///< of the last change
};

struct RangeQuery {
    Range range;
    std::int64_t limit = 0;     ///< 0: all
    std::int64_t revision = 0;  ///< as it was then; 0: now
};
struct RangeAnswer {
    std::vector<Entry> entries;
    std::int64_t revision = 0;  ///< of the store, now
    std::uint64_t cluster = 0;
    bool more = false;
};

/// The last change of every key of the range was at `revision` (0: there is none), or before it.
struct Comparison {
    enum class Type : std::uint8_t { at, before };

    Type type = Type::at;
    Range range;
    std::int64_t revision = 0;
};
struct Operation {
    enum class Type : std::uint8_t { get, put, remove };

    Type type = Type::get;
    std::string key;
    std::string value;
};
/// What etcd takes in one transaction by default, of comparisons and of operations (--max-txn-ops).
inline constexpr std::size_t kMaxOperations = 128;

struct Txn {
    std::vector<Comparison> comparisons;
    std::vector<Operation> operations;
};
struct TxnAnswer {
    bool succeeded = false;
    std::int64_t revision = 0;
    std::uint64_t cluster = 0;
    std::vector<std::optional<Entry>> read;  ///< of each `get`, in order
};

struct Change {
    bool removed = false;
    Entry entry;  ///< of a removal: the last value, when it is still known
};
struct WatchAnswer {
    std::int64_t watch = 0;  ///< as given to create(); -1 when it was refused
    std::int64_t revision = 0;
    std::uint64_t cluster = 0;
    bool canceled = false;
    bool created = false;
    std::int64_t compacted = 0;  ///< with `canceled`: history begins here
    std::string reason;
    bool goes_on = false;  ///< more of the same revision follows
    std::vector<Change> changes;
};

/// Several watches on one stream. read() blocks; cancel() ends it, from any thread.
class WatchStream {
public:
    virtual ~WatchStream() = default;

    /// False when the stream is broken.
    [[nodiscard]] virtual bool create(std::int64_t watch, const Range& range, std::int64_t from) = 0;
    /// Asks how far the stream is, from any thread; the answer is a WatchAnswer of no watch with nothing but the
    /// revision. Members before 3.4.25 give it although events up to there may still be on their way.
    virtual void ask_progress() = 0;
    /// Nothing: the stream ended, finish() says why.
    [[nodiscard]] virtual std::optional<WatchAnswer> read() = 0;
    [[nodiscard]] virtual Failure finish() = 0;
    virtual void cancel() = 0;
};

/// Calls block and wait until the connection is there, at most to the deadline. One thread at a time.
class Member {
public:
    virtual ~Member() = default;

    [[nodiscard]] virtual Reply<RangeAnswer> range(const Call& call, const RangeQuery& query) = 0;
    [[nodiscard]] virtual Reply<TxnAnswer> commit(const Call& call, const Txn& txn) = 0;
    [[nodiscard]] virtual Reply<void> compact(const Call& call, std::int64_t revision) = 0;
    [[nodiscard]] virtual Reply<std::string> authenticate(const Call& call, const std::string& name,
                                                          const std::string& password) = 0;
    /// The call's deadline is for nothing here: a stream lasts.
    [[nodiscard]] virtual std::shared_ptr<WatchStream> watch(const std::string& token) = 0;
};

/// PEM; all empty: no TLS.
struct TlsMaterial {
    std::string ca;
    std::string certificate;
    std::string key;

    bool operator==(const TlsMaterial&) const = default;
};
struct MemberAddress {
    std::string host_port;  ///< "10.0.0.1:2379"
    bool tls = false;
};

/// What the module with gRPC offers (grpc_member.cpp).
struct GrpcModule {
    std::unique_ptr<Member> (*make_member)(const MemberAddress& address, const TlsMaterial& tls);
    /// What is wrong with the files, before gRPC fails with them and cannot say why.
    Result<void> (*check_tls)(const TlsMaterial& tls);
};
[[nodiscard]] Result<const GrpcModule*> load_grpc_module();

}  // namespace manul::store::etcd
