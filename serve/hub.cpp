#include "serve/hub.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>

#include "base/try.hpp"
#include "config/codec/tree.hpp"
#include "config/model/kind.hpp"
#include "config/model/referenced_secret.hpp"
#include "config/store/position.hpp"
#include "config/store/store.hpp"
#include "config/store/watched_kinds.hpp"
#include "serve/status.hpp"
#include "serve/table.hpp"

namespace manul::serve {

namespace {

using Bytes = std::shared_ptr<const std::string>;
using DocumentPtr = std::shared_ptr<const std::string>;

std::int64_t number(const store::Revision& revision) { return store::parse_revision(revision).value_or(0); }

std::string event_text(std::string_view type, std::string_view object) {
    std::string out;
    out.reserve(type.size() + object.size() + 24);
    out.append(R"({"type":")").append(type).append(R"(","object":)").append(object).append("}\n");
    return out;
}

std::string bookmark_text(model::Kind kind, const Rendering& rendering, std::int64_t revision, bool ends_initial) {
    const bool partial = !rendering.metadata_version.empty();
    const std::string name = partial ? "PartialObjectMetadata" : std::string(model::info(kind).name);
    const std::string version = partial ? "meta.k8s.io/" + rendering.metadata_version : model::api_version(kind);
    return event_text("BOOKMARK", R"({"kind":")" + name + R"(","apiVersion":")" + version +
                                      R"(","metadata":{"resourceVersion":")" + std::to_string(revision) + "\"" +
                                      (ends_initial ? R"(,"annotations":{"k8s.io/initial-events-end":"true"})" : "") +
                                      "}}");
}

/// The end of a watch; who watches several kinds must know of which.
std::string error_text(model::Kind kind, Problem problem) {
    problem.group = model::info(kind).group;
    problem.kind = model::info(kind).plural;
    return event_text("ERROR", to_json(problem));
}

/// Of an object whose last version is not known.
std::string bare_document(const model::Key& key, const store::Revision& revision) {
    const auto quoted = [](std::string_view text) { return boost::json::serialize(boost::json::string(text)); };
    return R"({"kind":")" + std::string(model::info(key.kind).name) + R"(","apiVersion":")" +
           model::api_version(key.kind) + R"(","metadata":{"name":)" + quoted(key.name) +
           (key.ns.empty() ? "" : R"(,"namespace":)" + quoted(key.ns)) + R"(,"resourceVersion":)" + quoted(revision) +
           "}}";
}

}  // namespace

/// One event, with everything that is made of it once.
struct Hub::Entry {
    std::int64_t revision = 0;
    std::string type;
    model::Key key;
    DocumentPtr document;
    DocumentPtr previous;
    bool past_unknown = false;  ///< what the object was before is not known, though it may have been there
    Bytes shared;               ///< as most clients get it
    Bytes revealed;             ///< the same with the values of a secret
    std::optional<codec::Tree> tree;
    std::optional<codec::Tree> previous_tree;

    const codec::Tree& parsed() { return parse(tree, document); }
    /// Null when there was no version before.
    const codec::Tree* parsed_previous() { return previous ? &parse(previous_tree, previous) : nullptr; }

private:
    static const codec::Tree& parse(std::optional<codec::Tree>& kept, const DocumentPtr& text) {
        if (!kept) {
            kept = codec::parse_json(*text).value_or(codec::Tree{});
        }
        return *kept;
    }
};

/// What the watches of one request share.
struct Hub::Connection {
    std::shared_ptr<Stream> stream;
    std::size_t watches = 0;  ///< that have not ended

    void write(std::string text) const { stream->write(std::make_shared<const std::string>(std::move(text))); }
    void end_watch() {
        if (--watches == 0) {
            stream->finish();
        }
    }
};

/// One watch of one kind.
struct Hub::Client {
    WatchRequest request;
    std::shared_ptr<Connection> connection;
    std::int64_t after = 0;   ///< the revision that it began with
    std::int64_t ends = 0;    ///< time
    std::int64_t marked = 0;  ///< time of the last bookmark
    bool sent_columns = false;

    [[nodiscard]] bool is_plain() const {
        return request.selection.empty() && !request.visible && !request.rendering.table &&
               request.rendering.metadata_version.empty() && request.rendering.secrets.referenced() == nullptr;
    }
    [[nodiscard]] bool wants(const codec::Tree& document) const {
        return request.selection.matches(document) && (!request.visible || request.visible(document));
    }
    void send(model::Kind kind, std::string_view type, std::string_view document) {
        std::string object = request.rendering.document(kind, document);
        if (request.rendering.table) {
            TableOptions options = *request.rendering.table;
            options.with_columns = !std::exchange(sent_columns, true);
            object = table_of(kind, object, options);
        }
        connection->write(event_text(type, object));
    }
};

struct Hub::Feed {
    FeedId id = 0;
    model::Kind kind{};
    std::unique_ptr<store::Watch> upstream;
    std::int64_t start = 0;       ///< every event after it is among `entries`, or is still to come
    std::int64_t known_from = 0;  ///< what objects were before this revision is not known
    std::int64_t newest = 0;      ///< of the events that came
    std::deque<Entry> entries;
    std::map<model::Key, std::pair<std::int64_t, DocumentPtr>> objects;
    std::vector<Client> clients;
    std::int64_t idle_since = 0;
};

Hub::Hub(store::Store& store, Hooks hooks, HubLimits limits)
    : store_(store), hooks_(std::move(hooks)), limits_(limits) {}

Hub::~Hub() = default;

std::size_t Hub::client_count() const noexcept {
    std::size_t count = 0;
    for (const auto& [id, feed] : feeds_) {
        count += feed->clients.size();
    }
    return count;
}

store::StoreResult<Hub::Feed*> Hub::open(model::Kind kind, std::int64_t start) {
    auto feed = std::make_unique<Feed>();
    feed->id = ++last_id_;
    feed->kind = kind;
    feed->start = start;
    feed->newest = start;
    // What objects were, so that clients with selectors can be told when one leaves their selection.
    MANUL_TRY(store::Listing listing, store_.list({.kind = kind, .ns = {}, .name_prefix = {}}));
    feed->known_from = number(listing.revision);
    for (store::Object& object : listing.items) {
        feed->objects[std::move(object.key)] = {number(object.revision), std::move(object.document)};
    }
    const store::WatchStart from{kind, std::to_string(start)};
    MANUL_TRY(feed->upstream, store_.watch(std::span(&from, 1)));
    hooks_.follow(feed->id, feed->upstream->fd());
    Feed* const out = feed.get();
    feeds_[out->id] = std::move(feed);
    return take(*out) ? out : nullptr;
}

store::StoreResult<Hub::Feed*> Hub::feed_for(model::Kind kind, std::int64_t revision) {
    std::size_t count = 0;
    for (const auto& [id, feed] : feeds_) {
        if (feed->kind == kind && feed->start <= revision) {
            return feed.get();
        }
        count += feed->kind == kind ? 1U : 0U;
    }
    const auto gone = [] {
        return std::unexpected(store::StoreError{.code = store::StoreError::Code::compacted,
                                                 .message = "too old resource version; list again",
                                                 .details = {}});
    };
    if (count >= limits_.feeds) {
        return gone();
    }
    if (count == 0 && !no_lookback_.contains(kind)) {
        // Other clients come back too, after a restart all of them, and not all from the same revision.
        MANUL_TRY(Feed* const feed, open(kind, std::max<std::int64_t>(revision - limits_.lookback, 0)));
        if (feed != nullptr) {
            return feed;
        }
    }
    MANUL_TRY(Feed* const feed, open(kind, revision));
    return feed != nullptr ? store::StoreResult<Feed*>(feed) : gone();
}

void Hub::add(std::vector<WatchRequest> requests, std::shared_ptr<Stream> stream, std::int64_t now) {
    const auto connection = std::make_shared<Connection>(std::move(stream), requests.size());
    for (WatchRequest& request : requests) {
        add(std::move(request), connection, now);
    }
}

void Hub::add(WatchRequest request, std::shared_ptr<Connection> connection, std::int64_t now) {
    const std::int64_t revision = number(request.revision);
    const model::Kind kind = request.kind;
    auto feed = feed_for(kind, revision);
    if (!feed) {
        connection->write(error_text(kind, problem_of(feed.error(), {kind, {}, {}})));
        return connection->end_watch();
    }
    Client client{.request = std::move(request), .connection = std::move(connection), .after = revision};
    client.ends = now + client.request.timeout_seconds + 1;  // not before: `now` may be at the end of its second
    client.marked = now;
    for (const std::string& document : client.request.initial) {
        client.send(kind, "ADDED", document);
    }
    client.request.initial.clear();
    if (client.request.marks_initial_end) {
        client.connection->write(bookmark_text(kind, client.request.rendering, revision, true));
    }
    for (Entry& entry : (*feed)->entries) {
        if (entry.revision > revision) {
            deliver(client, entry);
        }
    }
    if (const ReferencedSecrets* known = client.request.rendering.secrets.referenced()) {
        // What was read for the request is older or newer than what was told here: either may lack names.
        ReferencedSecrets both = *known;
        both.names.insert(referenced_.names.begin(), referenced_.names.end());
        reveal(**feed, client, std::move(both), client.request.outdated);
    }
    (*feed)->clients.push_back(std::move(client));
    take(**feed);  // where the store can tell at once what happened since, there is no waiting
}

void Hub::reveal(const Feed& feed, Client& client, ReferencedSecrets referenced, bool again) {
    const SecretView before = std::exchange(client.request.rendering.secrets, SecretView::of(std::move(referenced)));
    const SecretView& view = client.request.rendering.secrets;
    // Versions of these objects are older than what the client has seen by now: it goes on from the bookmark.
    const auto mark = [&] {
        if (client.request.bookmarks) {
            client.connection->write(
                bookmark_text(feed.kind, client.request.rendering, std::max(feed.newest, client.after), false));
        }
    };
    bool told = false;
    for (const auto& [key, object] : feed.objects) {
        const bool shown = key.ns == model::kSecretsNamespace && view.referenced()->names.contains(key.name);
        if (shown && (again || !before.referenced()->names.contains(key.name))) {
            if (!std::exchange(told, true)) {
                mark();
            }
            client.send(feed.kind, "MODIFIED", *object.second);
        }
    }
    if (told) {
        mark();
    }
}

void Hub::refer(ReferencedSecrets referenced) {
    referenced_ = std::move(referenced);
    for (const auto& [id, feed] : feeds_) {
        for (Client& client : feed->clients) {
            const ReferencedSecrets* known = client.request.rendering.secrets.referenced();
            if (known != nullptr && known->names != referenced_.names) {
                reveal(*feed, client, referenced_, false);
            }
        }
    }
}

void Hub::deliver(Client& client, Entry& entry) const {
    const WatchRequest& request = client.request;
    if (request.ns && entry.key.ns != *request.ns) {
        return;
    }
    if (client.is_plain()) {
        const bool reveals = entry.key.kind == model::Kind::secret && request.rendering.secrets.is_everything();
        Bytes& bytes = reveals ? entry.revealed : entry.shared;
        if (!bytes) {
            bytes = std::make_shared<const std::string>(
                event_text(entry.type, request.rendering.document(entry.key.kind, *entry.document)));
        }
        return client.connection->stream->write(bytes);
    }
    const codec::Tree* previous = entry.parsed_previous();
    const bool removed = entry.type == "DELETED";
    const bool has = !removed && client.wants(entry.parsed());
    // Who comes back may still have it: better told once too often than never, but not what he may not see.
    const bool had = previous != nullptr
                         ? client.wants(*previous)
                         : entry.past_unknown && !has && request.selection.fields.matches_name(entry.parsed()) &&
                               (!request.visible || request.visible(entry.parsed()));
    const bool gone = removed ? had || (previous == nullptr && client.wants(entry.parsed())) : had && !has;
    if (gone) {
        if (removed || previous == nullptr) {
            return client.send(entry.key.kind, "DELETED", *entry.document);
        }
        // As it was while it was selected: what it has become may not be for the client's eyes.
        codec::Tree last = *previous;
        last.make("metadata").make("resourceVersion").assign(codec::Tree::of_text(std::to_string(entry.revision)));
        client.send(entry.key.kind, "DELETED", codec::to_json(last));
    } else if (has) {
        client.send(entry.key.kind, had ? "MODIFIED" : "ADDED", *entry.document);
    }
}

void Hub::append(Feed& feed, store::Event event) const {
    Entry entry;
    entry.revision = number(event.object.revision);
    entry.key = event.object.key;
    entry.document = std::move(event.object.document);
    const bool removed = event.type == store::Event::Type::removed;
    const auto known = feed.objects.find(entry.key);
    // What happened before the list that the feed began with changes nothing of what is known since.
    const bool newer = known == feed.objects.end() || known->second.first < entry.revision;
    if (known != feed.objects.end() && newer) {
        entry.previous = known->second.second;
    }
    entry.past_unknown = !entry.previous && entry.revision <= feed.known_from;
    if (!entry.document) {
        entry.document = removed && entry.previous
                             ? entry.previous
                             : std::make_shared<const std::string>(bare_document(entry.key, event.object.revision));
    }
    entry.type = removed ? "DELETED" : entry.previous ? "MODIFIED" : "ADDED";
    if (removed && newer) {
        feed.objects.erase(entry.key);
    } else if (newer) {
        feed.objects[entry.key] = {entry.revision, entry.document};
    }
    feed.newest = std::max(feed.newest, entry.revision);
    feed.entries.push_back(std::move(entry));
    for (Client& client : feed.clients) {
        if (feed.entries.back().revision > client.after) {
            deliver(client, feed.entries.back());
        }
    }
    if (feed.entries.size() > limits_.events) {
        feed.start = feed.entries.front().revision;
        // Events of one revision go together.
        while (!feed.entries.empty() && feed.entries.front().revision <= feed.start) {
            feed.entries.pop_front();
        }
    }
}

bool Hub::take(Feed& feed) {
    auto events = feed.upstream->take();
    if (!events) {
        return true;  // the watch goes on by itself
    }
    for (store::Event& event : *events) {
        if (event.type == store::Event::Type::resync) {
            end(feed);
            return false;
        }
        append(feed, std::move(event));
    }
    for (Client& client : feed.clients) {
        if (client.connection->stream->backlog() > limits_.backlog) {
            client.connection->stream->abort();
        }
    }
    return true;
}

void Hub::readable(FeedId id) {
    if (const auto found = feeds_.find(id); found != feeds_.end()) {
        take(*found->second);
    }
}

void Hub::end(Feed& feed) {
    const auto gone = std::make_shared<const std::string>(
        error_text(feed.kind, expired("too old resource version: the events after it are gone; list again")));
    for (const Client& client : feed.clients) {
        client.connection->stream->write(gone);
        client.connection->end_watch();
    }
    no_lookback_.insert(feed.kind);
    close(feed.id);
}

void Hub::close(FeedId id) {
    hooks_.unfollow(id);
    feeds_.erase(id);
}

void Hub::tick(std::int64_t now) {
    std::vector<FeedId> idle;
    for (const auto& [id, feed] : feeds_) {
        // A kind that nothing happens to must not be left behind by the store's log.
        feed->newest = std::max(feed->newest, number(store::position_of(*feed->upstream).value_or("0")));
        for (Client& client : feed->clients) {
            const bool ends = now >= client.ends;
            if (client.request.bookmarks && (ends || now - client.marked >= limits_.bookmark_seconds)) {
                client.marked = now;
                client.connection->write(
                    bookmark_text(feed->kind, client.request.rendering, std::max(feed->newest, client.after), false));
            }
            if (ends) {
                client.connection->end_watch();
            }
        }
        std::erase_if(feed->clients,
                      [&](const Client& client) { return now >= client.ends || client.connection->stream->closed(); });
        if (!feed->clients.empty()) {
            feed->idle_since = now;
        } else if (now - feed->idle_since > limits_.idle_feed_seconds) {
            idle.push_back(id);
        }
    }
    for (const FeedId id : idle) {
        close(id);
    }
}

}  // namespace manul::serve
