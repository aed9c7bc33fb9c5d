#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/codec/tree.hpp"
#include "config/model/kind.hpp"
#include "config/store/store.hpp"
#include "serve/api.hpp"
#include "serve/stream.hpp"

/// The watch cache: any number of clients that watch a kind cost the store one watch of it.
///
///   store ── one watch a kind ──▶ Feed: the newest events, and each object's newest version ──▶ clients
///
/// An event is put into JSON once and shared by all clients that get it as it is; only those with a selector, a table
/// or rights on some tiers have their own look at it. A client may begin anywhere in what a feed remembers; for one
/// that asks for something older a second feed is begun from there, which later clients share, and which ends alone
/// when the store cannot go back so far. Who reads too slowly is cut off, and comes back from where it was.
///
/// Invariant: each client gets every event after its revision exactly once, in the order of commits.
namespace manul::serve {

struct HubLimits {
    std::size_t events = 10'000;                   ///< remembered for each kind
    std::size_t backlog = std::size_t{32} << 20U;  ///< bytes queued for one client
    std::int64_t bookmark_seconds = 60;
    std::int64_t idle_feed_seconds = 300;  ///< a feed without clients is given up
    std::int64_t lookback = 1000;          ///< how far before the first client's revision a feed begins
    std::size_t feeds = 8;                 ///< of one kind; who is older than all of them lists again
};

class Hub {
public:
    using FeedId = std::uint64_t;

    /// Told when a feed's descriptor is to be waited for (then `readable`), and when no longer.
    struct Hooks {
        std::function<void(FeedId, int fd)> follow;
        std::function<void(FeedId)> unfollow;
    };

    Hub(store::Store& store, Hooks hooks, HubLimits limits = {});
    ~Hub();
    Hub(const Hub&) = delete;
    Hub& operator=(const Hub&) = delete;

    /// From now on the stream gets the events of all the watches; it ends with the last of them. `now`: seconds, of any
    /// clock.
    void add(std::vector<WatchRequest> requests, std::shared_ptr<Stream> stream, std::int64_t now);
    /// The feed's descriptor is readable.
    void readable(FeedId id);
    /// These Secrets are referenced now: who may see the values of such alone is told of those that are new.
    void refer(ReferencedSecrets referenced);
    /// To be called about once a second: ends, bookmarks, feeds that nobody needs.
    void tick(std::int64_t now);

    [[nodiscard]] std::size_t client_count() const noexcept;

private:
    struct Entry;
    struct Connection;
    struct Client;
    struct Feed;

    void add(WatchRequest request, std::shared_ptr<Connection> connection, std::int64_t now);
    [[nodiscard]] store::StoreResult<Feed*> feed_for(model::Kind kind, std::int64_t revision);
    /// A feed of every event after `start`; null when the store says at once that it cannot go back so far.
    [[nodiscard]] store::StoreResult<Feed*> open(model::Kind kind, std::int64_t start);
    /// False when the feed ended and is gone.
    bool take(Feed& feed);
    void append(Feed& feed, store::Event event) const;
    void deliver(Client& client, Entry& entry) const;
    /// From now on the client sees the values of these Secrets, and is told of those that it did not see, or of all.
    static void reveal(const Feed& feed, Client& client, ReferencedSecrets referenced, bool again);
    void end(Feed& feed);
    void close(FeedId id);

    store::Store& store_;
    Hooks hooks_;
    HubLimits limits_;
    std::map<FeedId, std::unique_ptr<Feed>> feeds_;
    std::set<model::Kind> no_lookback_;  ///< the store did not remember as much as `lookback`
    FeedId last_id_ = 0;
    ReferencedSecrets referenced_;  ///< of the last refer()
};

}  // namespace manul::serve
