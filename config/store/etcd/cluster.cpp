#include "config/store/etcd/cluster.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/read_file.hpp"
#include "base/try.hpp"
#include "config/store/document.hpp"

namespace manul::store::etcd {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;
using Code = StoreError::Code;

namespace {

constexpr milliseconds kFirstPause{20};
constexpr milliseconds kLongestPause{500};

bool has(const Failure& failure, std::string_view text) noexcept {
    return failure.message.find(text) != std::string::npos;
}

constexpr std::string_view kPasswordFile = "datastore.etcd.password_file";

Result<std::string> read_named_file(const std::string& path, std::string_view setting) {
    auto text = setting == kPasswordFile ? read_secret_file(path) : read_file(path);
    return text ? std::move(text) : fail(fmt::format("{}: cannot read {}", setting, text.error().message));
}

Result<TlsMaterial> read_tls(const EtcdOptions& options) {
    TlsMaterial tls;
    if (options.cert_file.empty() != options.key_file.empty()) {
        return fail("datastore.etcd.cert_file and key_file go together: only one of them is given");
    }
    if (!options.ca_file.empty()) {
        MANUL_TRY(tls.ca, read_named_file(options.ca_file, "datastore.etcd.ca_file"));
    }
    if (!options.cert_file.empty()) {
        MANUL_TRY(tls.certificate, read_named_file(options.cert_file, "datastore.etcd.cert_file"));
        MANUL_TRY(tls.key, read_named_file(options.key_file, "datastore.etcd.key_file"));
    }
    return tls;
}

/// Another member, or the same one later, may do it.
bool is_passing(const Failure& failure) noexcept {
    return failure.is(Rpc::unavailable) || failure.is(Rpc::deadline_exceeded) ||
           (failure.is(Rpc::resource_exhausted) && has(failure, "too many requests"));
}

}  // namespace

bool is_stale_token(const Failure& failure) noexcept {
    return failure.is(Rpc::unauthenticated) || has(failure, "invalid auth token") ||
           (failure.is(Rpc::invalid_argument) &&
            (has(failure, "revision of auth store is old") || has(failure, "user name is empty")));
}

Result<std::vector<Endpoint>> parse_endpoints(const std::vector<std::string>& urls) {
    std::vector<Endpoint> out;
    for (const std::string& url : urls) {
        std::string_view rest = url;
        const bool tls = rest.starts_with("https://");
        if (tls || rest.starts_with("http://")) {
            rest.remove_prefix(rest.find("//") + 2);
        } else if (rest.find("://") != std::string_view::npos) {
            return fail(
                fmt::format("datastore.etcd.endpoints: \"{}\" is not accepted, expected https://host:2379", url));
        }
        if (rest.ends_with('/')) {
            rest.remove_suffix(1);
        }
        const std::size_t bracket = rest.rfind(']');
        const std::size_t colon = rest.rfind(':');
        const bool has_port = colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
        if (rest.empty() || rest.find('/') != std::string_view::npos || (has_port && colon + 1 == rest.size())) {
            return fail(
                fmt::format("datastore.etcd.endpoints: \"{}\" is not accepted, expected https://host:2379", url));
        }
        out.push_back({url, {std::string(rest) + (has_port ? "" : ":2379"), tls}});
    }
    if (out.empty()) {
        return fail(
            "datastore.etcd.endpoints is not set: give the members of the cluster, as in "
            "[https://10.0.0.1:2379, https://10.0.0.2:2379]");
    }
    return out;
}

Cluster::Cluster(EtcdOptions options, MakeMember make_member)
    : options_(std::move(options)), make_member_(std::move(make_member)), wants_token_(!options_.username.empty()) {}

StoreResult<void> Cluster::connect() {
    if (!members_.empty()) {
        return {};
    }
    if (auto endpoints = parse_endpoints(options_.endpoints)) {
        endpoints_ = *std::move(endpoints);
    } else {
        return std::unexpected(error(Code::unavailable, endpoints.error().message));
    }
    return load_members();
}

StoreResult<void> Cluster::load_members() {
    auto tls = read_tls(options_);
    if (!tls) {
        return std::unexpected(error(Code::unavailable, tls.error().message));
    }
    if (!members_.empty() && *tls == tls_) {
        return {};
    }
    std::vector<std::unique_ptr<Member>> members;
    for (const Endpoint& endpoint : endpoints_) {
        auto member = make_member_(endpoint.address, *tls);
        if (!member) {
            return std::unexpected(error(Code::unavailable, member.error().message));
        }
        members.push_back(*std::move(member));
    }
    tls_ = *std::move(tls);
    members_ = std::move(members);
    return {};
}

Reply<void> Cluster::log_in(SteadyTime deadline) {
    if (!wants_token_ || !token_.empty()) {
        return {};
    }
    std::string password = options_.password;
    if (!options_.password_file.empty()) {
        auto text = read_named_file(options_.password_file, kPasswordFile);
        if (!text) {
            return std::unexpected(Failure{static_cast<int>(Rpc::permission_denied), text.error().message});
        }
        password = *std::move(text);
        while (password.ends_with('\n') || password.ends_with('\r')) {
            password.pop_back();
        }
    }
    auto token = members_[current_]->authenticate({deadline, {}}, options_.username, password);
    if (token) {
        token_ = *std::move(token);
        return {};
    }
    if (token.error().is(Rpc::failed_precondition)) {
        wants_token_ = false;  // authentication is off: the name is of no use, and does no harm
        return {};
    }
    return std::unexpected(std::move(token).error());
}

/// What the members said in the end, and whether an attempt may have been carried out unseen.
template <class T>
struct Cluster::Outcome {
    StoreResult<T> result;
    bool unclear = false;
};

template <class Make>
auto Cluster::run(Make make) {
    using Value = typename decltype(make(*members_.front(), std::declval<const Call&>()))::value_type;
    Outcome<Value> out{std::unexpected(StoreError{}), false};
    if (auto connected = connect(); !connected) {
        out.result = std::unexpected(std::move(connected).error());
        return out;
    }
    const SteadyTime deadline = Clock::now() + options_.timeout;
    milliseconds pause = kFirstPause;
    bool renewed = false;
    std::vector<Failure> reasons(members_.size());  // of each member: an attempt that runs out of time has none
    for (std::size_t attempt = 1;; ++attempt) {
        Failure failure;
        if (auto in = log_in(deadline); !in) {
            failure = std::move(in).error();
        } else {
            // A member that is silent must not use up the time of those that would answer.
            const std::size_t left = members_.size() - (attempt - 1) % members_.size();
            const SteadyTime now = Clock::now();
            auto reply = make(*members_[current_], Call{now + (deadline - now) / static_cast<int>(left), token_});
            if (reply) {
                if constexpr (std::is_void_v<Value>) {
                    out.result = {};
                } else {
                    out.result = *std::move(reply);
                }
                return out;
            }
            failure = std::move(reply).error();
            out.unclear = out.unclear || failure.is(Rpc::unavailable) || failure.is(Rpc::deadline_exceeded);
            if (is_stale_token(failure) && !options_.username.empty() && !std::exchange(renewed, true)) {
                token_.clear();
                wants_token_ = true;
                continue;
            }
        }
        if (!failure.is(Rpc::deadline_exceeded)) {
            reasons[current_] = failure;
        } else if (reasons[current_].is(Rpc::unavailable)) {
            failure = reasons[current_];
        }
        if (!is_passing(failure) || Clock::now() + pause >= deadline) {
            out.result = std::unexpected(explain(failure));
            current_ = (current_ + (is_passing(failure) ? 1U : 0U)) % members_.size();
            return out;
        }
        current_ = (current_ + 1) % members_.size();
        if (attempt % members_.size() == 0) {
            std::this_thread::sleep_for(pause);
            pause = std::min(pause * 2, kLongestPause);
            if (auto loaded = load_members(); !loaded) {
                out.result = std::unexpected(std::move(loaded).error());
                return out;
            }
        }
    }
}

StoreError Cluster::explain(const Failure& failure) const {
    const std::string where = endpoints_.empty() ? "etcd" : "etcd (" + endpoints_[current_].url + ")";
    const auto say = [&](Code code, std::string_view what) { return error(code, fmt::format("{}: {}", where, what)); };
    if (failure.is(Rpc::deadline_exceeded)) {
        const bool plain = !endpoints_.empty() && !endpoints_[current_].address.tls;
        return say(Code::unavailable,
                   fmt::format("no answer within {} ms{}", options_.timeout.count(),
                               plain ? " (does the member want https:// in datastore.etcd.endpoints?)" : ""));
    }
    if (failure.is(Rpc::out_of_range)) {
        return say(Code::compacted, failure.message);
    }
    if (failure.is(Rpc::resource_exhausted) && has(failure, "database space exceeded")) {
        return say(Code::unavailable,
                   "the database is full (alarm NOSPACE): nothing can be written, everything can be read. Compact and "
                   "defragment it, or raise --quota-backend-bytes, then run `etcdctl alarm disarm`");
    }
    if (failure.is(Rpc::invalid_argument) && has(failure, "request is too large")) {
        return say(Code::too_large, "the transaction is larger than etcd's --max-request-bytes allows");
    }
    if (failure.is(Rpc::invalid_argument) && has(failure, "too many operations")) {
        return say(Code::too_large, "the transaction has more operations than etcd's --max-txn-ops allows");
    }
    if (has(failure, "authentication failed")) {
        return say(Code::unavailable, fmt::format("user \"{}\" or its password is wrong", options_.username));
    }
    if (failure.message.starts_with(kPasswordFile)) {
        return say(Code::unavailable, failure.message);
    }
    if (has(failure, "user name is empty")) {
        return say(Code::unavailable, "it asks for a user: give datastore.etcd.username and password_file");
    }
    if (failure.is(Rpc::permission_denied) || is_stale_token(failure)) {
        return say(Code::unavailable, fmt::format("{} (user \"{}\"; it needs the right to read and write {})",
                                                  failure.message, options_.username, options_.prefix));
    }
    if (has(failure, "CERTIFICATE_VERIFY_FAILED") || has(failure, "certificate verify failed")) {
        return say(Code::unavailable, "its certificate is not signed by an authority of datastore.etcd.ca_file");
    }
    if (has(failure, "Hostname Verification Check failed") || has(failure, "is not in peer certificate")) {
        return say(Code::unavailable, "its certificate is for other names than this endpoint's: " + failure.message);
    }
    if (has(failure, "Ssl handshake failed") || has(failure, "WRONG_VERSION_NUMBER")) {
        return say(Code::unavailable,
                   "TLS fails; does the member speak TLS, and does it ask for a client certificate "
                   "(cert_file, key_file)? " +
                       failure.message);
    }
    std::string text = failure.message;
    const bool plain_client = !endpoints_.empty() && !endpoints_[current_].address.tls;
    if (failure.is(Rpc::unavailable) &&
        (has(failure, "Socket closed") || has(failure, "Endpoint read failed") || has(failure, "Connection reset"))) {
        text += plain_client ? " (does the member want https:// in datastore.etcd.endpoints?)"
                : tls_.certificate.empty()
                    ? " (does the member ask for a client certificate? Then give cert_file and key_file)"
                    : " (does the member accept this client certificate?)";
    }
    return say(Code::unavailable, text);
}

StoreResult<RangeAnswer> Cluster::range(const RangeQuery& query) {
    return run([&](Member& member, const Call& call) { return member.range(call, query); }).result;
}

StoreResult<Cluster::Committed> Cluster::commit(const Txn& txn) {
    auto done = run([&](Member& member, const Call& call) { return member.commit(call, txn); });
    if (done.result) {
        return Committed{*std::move(done.result), done.unclear};
    }
    if (done.unclear) {
        done.result.error().code = Code::unknown_result;
    }
    return std::unexpected(std::move(done.result).error());
}

StoreResult<void> Cluster::compact(std::int64_t revision) {
    return run([&](Member& member, const Call& call) { return member.compact(call, revision); }).result;
}

StoreResult<std::shared_ptr<WatchStream>> Cluster::watch() {
    MANUL_CHECK(connect());
    return members_[current_]->watch(token_);
}

StoreError Cluster::stream_failed(const Failure& failure) {
    StoreError out = explain(failure);
    if (is_stale_token(failure)) {
        token_.clear();
    }
    if (!members_.empty()) {
        current_ = (current_ + 1) % members_.size();
    }
    return out;
}

}  // namespace manul::store::etcd
