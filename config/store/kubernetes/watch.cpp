#include "config/store/kubernetes/watch.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/stream_parser.hpp>
#include <boost/json/value.hpp>

#include "config/model/kind.hpp"
#include "config/store/document.hpp"
#include "config/store/event_queue.hpp"
#include "config/store/kubernetes/api.hpp"
#include "config/store/kubernetes/json_text.hpp"
#include "config/store/store.hpp"
#include "config/store/watched_kinds.hpp"

namespace manul::store::kubernetes {

namespace json = boost::json;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;
using Code = StoreError::Code;

namespace {

constexpr std::size_t kLongestErrorBody = 65'536;
/// The server ends each watch after a time that is drawn from here, so that load moves between servers.
constexpr int kShortestLife = 300;
constexpr int kLongestLife = 600;
/// A stream that ends sooner did not work.
constexpr milliseconds kWorkingLife{1000};

/// What all followers share. Used on the streams' thread alone, but for the queue.
struct Shared {
    Shared(const HttpModule& http, const Access& access, const HttpServer& server, std::string cluster,
           const WatchOptions& given, bool of_manul)
        : options(given),
          served(of_manul),
          identity(std::move(cluster)),
          credentials(access),
          streams(http.make_streams(server)) {}

    WatchOptions options;
    bool served;  ///< the server is `manulctl serve`
    std::string identity;
    EventQueue queue;
    Credentials credentials;
    std::mt19937 random{std::random_device{}()};
    std::unique_ptr<HttpStreams> streams;  // last: its thread ends before the rest goes

    /// Between half and the whole of it: many nodes must not come back at one moment.
    [[nodiscard]] milliseconds with_jitter(milliseconds time) {
        return milliseconds(std::uniform_int_distribution<std::int64_t>(time.count() / 2, time.count())(random));
    }
};

/// Follows one kind.
class Follower {
public:
    Follower(Shared& shared, model::Kind kind, Place place, Revision revision)
        : shared_(shared),
          kind_(kind),
          place_(std::move(place)),
          revision_(std::move(revision)),
          pause_(shared.options.first_pause) {}

    void start() {
        if (place_.form == Form::derived) {
            return;
        }
        if (revision_.empty()) {
            return shared_.streams->after(shared_.options.absent_poll, [this] { look_for_kind(); });
        }
        shared_.streams->after(milliseconds(0), [this] { open(); });
    }

private:
    void open() {
        const int life = std::uniform_int_distribution(kShortestLife, kLongestLife)(shared_.random);
        asks_identity_ = false;
        Query query{{"watch", "1"},
                    {"allowWatchBookmarks", "true"},
                    {"resourceVersion", resume_point()},
                    {"timeoutSeconds", std::to_string(life)}};
        if (shared_.served && kind_ == model::Kind::secret) {
            query["reveal"] = "true";
        }
        request(place_.collection(""), query);
    }

    /// One transaction of our own server may have several events with one version, and the stream may have ended
    /// between them.
    [[nodiscard]] std::string resume_point() const {
        const auto number = came_.empty() ? std::nullopt : parse_revision(revision_);
        return number ? std::to_string(*number - 1) : revision_;
    }

    /// The cluster did not have the kind: once it has, the owner lists it.
    void look_for_kind() { request(place_.collection(""), {{"limit", "1"}}); }

    /// After a failure there may be another cluster behind the address.
    void ask_identity() {
        asks_identity_ = true;
        request(shared_.served ? kServedIdentityPath : kIdentityPath, {});
    }

    void request(const std::string& path, const Query& query) {
        opened_ = Clock::now();
        status_ = 0;
        error_body_.clear();
        parser_.reset();
        ended_ = false;
        auto token = shared_.credentials.token();
        auto identity = shared_.credentials.identity();
        if (!token || !identity) {
            return retry(error(Code::unavailable, token ? identity.error().message : token.error().message));
        }
        shared_.streams->open(
            {.method = "GET",
             .target = target_of(path, query),
             .body = {},
             .content_type = {},
             .token = *std::move(token)},
            *identity, shared_.options.idle,
            {[this](unsigned status) { status_ = status; }, [this](std::string_view bytes) { on_data(bytes); },
             [this](const std::optional<HttpFailure>& failure) { on_end(failure); }});
    }

    void on_data(std::string_view bytes) {
        if (status_ != 200 || asks_identity_) {
            error_body_.append(bytes.substr(0, kLongestErrorBody - std::min(error_body_.size(), kLongestErrorBody)));
            return;
        }
        if (revision_.empty()) {
            return;  // the kind is there; its list is not needed
        }
        while (!bytes.empty() && !ended_) {
            std::error_code failed;
            const std::size_t used = parser_.write_some(bytes.data(), bytes.size(), failed);
            if (failed) {
                ended_ = true;
                broken_ = true;
                return;
            }
            bytes.remove_prefix(used);
            if (parser_.done()) {
                const json::value event = parser_.release();
                parser_.reset();
                if (event.is_object()) {
                    on_event(event.get_object());
                }
                bytes.remove_prefix(std::min(bytes.find_first_not_of(" \t\r\n"), bytes.size()));
            }
        }
    }

    void on_event(const json::object& event) {
        const std::string type = text_at(event, "type");
        const json::object& object = object_at(event, "object");
        if (type == "ERROR") {
            const json::value* code = object.if_contains("code");
            const bool expired = code != nullptr && code->is_int64() && code->get_int64() == 410;
            ended_ = true;
            expired_ = expired;
            broken_ = !expired;
            error_body_ = json::serialize(object);
            return;
        }
        const std::string revision = text_at(object_at(object, "metadata"), "resourceVersion");
        pause_ = shared_.options.first_pause;
        if (revision != revision_ || type == "BOOKMARK") {
            came_.clear();
        }
        if (!revision.empty()) {
            revision_ = revision;
        }
        if (type == "BOOKMARK") {
            return;
        }
        auto translated = to_document(kind_, place_, object);
        if (!translated || (shared_.served && !came_.insert(translated->key).second)) {
            return;
        }
        shared_.queue.push(Event{type == "DELETED" ? Event::Type::removed : Event::Type::put,
                                 Object{std::move(translated->key), std::move(translated->revision),
                                        std::make_shared<const std::string>(json::serialize(translated->document))}});
    }

    void on_end(const std::optional<HttpFailure>& failure) {
        if (asks_identity_ && (status_ == 200 || status_ == 403 || status_ == 404)) {
            return on_identity();  // not told: taken for the same
        }
        const bool expired = std::exchange(expired_, false) || status_ == 410;
        const bool appeared = revision_.empty() && status_ == 200;
        const bool broken = std::exchange(broken_, false);
        if (expired || appeared) {
            return shared_.queue.push(Event{Event::Type::resync, Object{model::Key{kind_, {}, {}}, {}, nullptr}});
        }
        if (revision_.empty() && status_ == 404) {
            return shared_.streams->after(shared_.options.absent_poll, [this] { look_for_kind(); });
        }
        if (failure && status_ == 0) {
            return retry(error(Code::unavailable, failure->message));
        }
        if (status_ == 401) {
            shared_.credentials.refused();
        }
        if (status_ != 200 || broken) {
            return retry(error_of(status_ == 200 ? 500 : status_, error_body_, shared_.credentials.access()));
        }
        // A stream that worked for a time and ended, in whatever way, is opened again without a word.
        if (Clock::now() - opened_ < kWorkingLife) {
            return pause_and_open();
        }
        open();
    }

    void on_identity() {
        std::error_code failed;
        const json::value answer = json::parse(error_body_, failed);
        const std::string uid =
            !failed && answer.is_object() ? text_at(object_at(answer.get_object(), "metadata"), "uid") : std::string();
        if (!uid.empty() && uid != shared_.identity) {
            return shared_.queue.push(Event{Event::Type::resync, Object{model::Key{kind_, {}, {}}, {}, nullptr}});
        }
        open();
    }

    void retry(StoreError why) {
        why.message = std::string(model::info(kind_).name) + ": " + why.message;
        why.code = Code::unavailable;
        shared_.queue.fail(std::move(why));
        pause_and_open();
    }

    void pause_and_open() {
        const milliseconds pause = shared_.with_jitter(pause_);
        pause_ = std::min(pause_ * 2, shared_.options.longest_pause);
        shared_.streams->after(pause, [this] { revision_.empty() ? look_for_kind() : ask_identity(); });
    }

    Shared& shared_;
    model::Kind kind_;
    Place place_;
    Revision revision_;          ///< of the last event, or where to begin; empty: the cluster does not have the kind
    std::set<model::Key> came_;  ///< with that version; used with our own server alone
    milliseconds pause_;
    Clock::time_point opened_;
    unsigned status_ = 0;
    std::string error_body_;
    json::stream_parser parser_;
    bool asks_identity_ = false;  ///< the answer at hand is the identity, not the watch
    bool ended_ = false;          ///< what follows on the stream means nothing
    bool expired_ = false;        ///< the server no longer has our version
    bool broken_ = false;         ///< the stream brought an error
};

class KubernetesWatch final : public Watch {
public:
    KubernetesWatch(const HttpModule& http, const Access& access, const HttpServer& server, CalicoGroup group,
                    std::string identity, std::span<const WatchStart> starts, const WatchOptions& options)
        : shared_(std::make_unique<Shared>(http, access, server, std::move(identity), options,
                                           group == CalicoGroup::served)) {
        for (const WatchStart& start : starts) {
            followers_.push_back(
                std::make_unique<Follower>(*shared_, start.kind, place_of(start.kind, group), start.revision));
        }
        for (const auto& follower : followers_) {
            follower->start();
        }
    }
    ~KubernetesWatch() override { shared_.reset(); }  // the thread ends before its followers
    KubernetesWatch(const KubernetesWatch&) = delete;
    KubernetesWatch& operator=(const KubernetesWatch&) = delete;

    [[nodiscard]] int fd() const noexcept override { return shared_->queue.fd(); }
    [[nodiscard]] StoreResult<std::vector<Event>> take() override { return shared_->queue.take(); }

private:
    std::unique_ptr<Shared> shared_;
    std::vector<std::unique_ptr<Follower>> followers_;
};

}  // namespace

std::unique_ptr<Watch> open_watch(const HttpModule& http, const Access& access, const HttpServer& server,
                                  CalicoGroup group, std::string identity, std::span<const WatchStart> starts,
                                  const WatchOptions& options) {
    return std::make_unique<KubernetesWatch>(http, access, server, group, std::move(identity), starts, options);
}

}  // namespace manul::store::kubernetes
