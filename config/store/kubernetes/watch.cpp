#include "config/store/kubernetes/watch.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
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
#include "config/store/kubernetes/named_secrets.hpp"
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
/// Within this time of one stream's success those come back that wait because the server was away.
constexpr milliseconds kReturn{1000};

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
    /// Where Secrets are followed by their names: all that resources named so far.
    std::optional<std::set<std::string>> secrets;
    /// Of streams that wait because the server was away: what makes them come back.
    std::map<const void*, std::function<void()>> waiting;
    std::mt19937 random{std::random_device{}()};
    std::unique_ptr<HttpStreams> streams;  // last: its thread ends before the rest goes

    /// Between half and the whole of it: many nodes must not come back at one moment.
    [[nodiscard]] milliseconds with_jitter(milliseconds time) {
        return milliseconds(std::uniform_int_distribution<std::int64_t>(time.count() / 2, time.count())(random));
    }
};

/// One kind of a request, and how far it came.
struct Followed {
    model::Kind kind;
    Place place;
    Revision revision;      ///< of the last event, or where to begin; empty: the cluster does not have the kind
    std::string name = {};  ///< the one object that is followed; with an empty revision: it may not be read
    std::set<model::Key> came = {};  ///< with that version; used with our own server alone

    /// One transaction of our own server may have several events with one version, and the stream may have ended
    /// between them.
    [[nodiscard]] std::string resume_point() const {
        const auto number = came.empty() ? std::nullopt : parse_revision(revision);
        return number ? std::to_string(*number - 1) : revision;
    }
};

/// Follows the kinds of one request: of Kubernetes one, of our own server all, since it puts them into one answer.
class Follower : public EventSource {
public:
    Follower(Shared& shared, std::vector<Followed> kinds)
        : shared_(shared), kinds_(std::move(kinds)), pause_(shared.options.first_pause) {}

    void start() {
        if (shared_.served) {
            expire_if([](const Followed& each) { return each.revision.empty(); });
        }
        if (kinds_.empty()) {
            return;
        }
        if (is_absent()) {
            return shared_.streams->after(shared_.options.absent_poll, [this] { look_for_kind(); });
        }
        shared_.streams->after(milliseconds(0), [this] { open(); });
    }

private:
    void open() {
        const int life = std::uniform_int_distribution(kShortestLife, kLongestLife)(shared_.random);
        asks_identity_ = false;
        Query query{{"timeoutSeconds", std::to_string(life)}};
        if (!shared_.served) {
            query.insert(
                {{"watch", "1"}, {"allowWatchBookmarks", "true"}, {"resourceVersion", kinds_.front().resume_point()}});
            return request_kind(std::move(query));
        }
        std::string starts;
        for (const Followed& each : kinds_) {
            const model::KindInfo& info = model::info(each.kind);
            starts += (starts.empty() ? "" : ",") + std::string(info.plural) + (info.group.empty() ? "" : ".") +
                      std::string(info.group) + ":" + each.resume_point();
        }
        query.insert({{"starts", std::move(starts)}, {"reveal", "true"}});
        request(kServedWatchesPath, query);
    }

    /// The cluster did not have the kind (there is only one then).
    [[nodiscard]] bool is_absent() const { return !shared_.served && kinds_.front().revision.empty(); }

    /// Once the cluster has it, the owner lists it.
    void look_for_kind() { request_kind({{"limit", "1"}}); }

    void request_kind(Query query) {
        if (is_named()) {
            query["fieldSelector"] = name_selector(kinds_.front().name);
        }
        request(kinds_.front().place.collection(""), query);
    }

    [[nodiscard]] bool is_named() const { return !shared_.served && !kinds_.front().name.empty(); }

    /// After a failure there may be another cluster behind the address, or an older state of the same one. Of
    /// Kubernetes a list is asked for, since it tells both: the uid of what it holds, and the version that the server
    /// is at.
    void ask_identity() {
        asks_identity_ = true;
        if (shared_.served) {
            return request(kServedIdentityPath, {});
        }
        request(kNamespacesPath, {{"fieldSelector", name_selector(kSystemNamespace)}});
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
            {[this](unsigned status) { on_status(status); }, [this](std::string_view bytes) { on_data(bytes); },
             [this](const std::optional<HttpFailure>& failure) { on_end(failure); }});
    }

    void on_status(unsigned status) {
        status_ = status;
        if (status == 200 && !asks_identity_) {
            extension_gone_ = false;
            shared_.queue.recover(this);
        }
        if (status == 200) {
            for (const auto& [follower, come_back] : std::exchange(shared_.waiting, {})) {
                come_back();
            }
        }
    }

    void on_data(std::string_view bytes) {
        if (status_ != 200 || asks_identity_) {
            error_body_.append(bytes.substr(0, kLongestErrorBody - std::min(error_body_.size(), kLongestErrorBody)));
            return;
        }
        if (is_absent()) {
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

    /// Null: it is of none that is followed.
    [[nodiscard]] Followed* kind_of_event(const std::string& type, const json::object& object) {
        if (!shared_.served) {
            return &kinds_.front();
        }
        const json::object& details = object_at(object, "details");
        const auto found = std::ranges::find_if(kinds_, [&](const Followed& each) {
            const model::KindInfo& info = model::info(each.kind);
            return type == "ERROR" ? text_at(details, "kind") == info.plural && text_at(details, "group") == info.group
                                   : text_at(object, "kind") == info.name &&
                                         text_at(object, "apiVersion") == each.place.api_version;
        });
        return found == kinds_.end() ? nullptr : &*found;
    }

    void on_event(const json::object& event) {
        const std::string type = text_at(event, "type");
        const json::object& object = object_at(event, "object");
        Followed* const followed = kind_of_event(type, object);
        if (type == "ERROR") {
            const json::value* code = object.if_contains("code");
            if (followed != nullptr && code != nullptr && code->is_int64() && code->get_int64() == 410) {
                expire_if([kind = followed->kind](const Followed& each) { return each.kind == kind; });
                ended_ = kinds_.empty();
                return;
            }
            ended_ = true;
            broken_ = true;
            error_body_ = json::serialize(object);
            return;
        }
        if (followed == nullptr) {
            return;
        }
        const std::string revision = text_at(object_at(object, "metadata"), "resourceVersion");
        pause_ = shared_.options.first_pause;
        if (revision != followed->revision || type == "BOOKMARK") {
            followed->came.clear();
        }
        if (!revision.empty()) {
            followed->revision = revision;
        }
        if (type == "BOOKMARK") {
            return;
        }
        auto translated = to_document(followed->kind, followed->place, object);
        if (!translated || (shared_.served && !followed->came.insert(translated->key).second)) {
            return;
        }
        auto document = std::make_shared<const std::string>(json::serialize(translated->document));
        note_secret(followed->kind, *document);
        shared_.queue.push(
            Event{type == "DELETED" ? Event::Type::removed : Event::Type::put,
                  Object{std::move(translated->key), std::move(translated->revision), std::move(document)}});
    }

    /// A Secret that is named for the first time is followed by nobody.
    void note_secret(model::Kind kind, std::string_view document) {
        if (!shared_.secrets) {
            return;
        }
        if (std::string name = named_secret(kind, document);
            !name.empty() && shared_.secrets->insert(std::move(name)).second) {
            shared_.queue.push(
                Event{Event::Type::resync, Object{model::Key{model::Kind::secret, {}, {}}, {}, nullptr}});
        }
    }

    /// Who watches has to list these kinds again.
    template <class Predicate>
    void expire_if(Predicate expired) {
        for (auto each = kinds_.begin(); each != kinds_.end();) {
            if (!expired(*each)) {
                ++each;
                continue;
            }
            shared_.queue.push(Event{Event::Type::resync, Object{model::Key{each->kind, {}, {}}, {}, nullptr}});
            each = kinds_.erase(each);
        }
        if (kinds_.empty()) {
            shared_.queue.recover(this);
        }
    }
    void expire_all() {
        expire_if([](const Followed&) { return true; });
    }

    void on_end(const std::optional<HttpFailure>& failure) {
        if (kinds_.empty()) {
            return;
        }
        if (asks_identity_ && (status_ == 200 || status_ == 403 || status_ == 404)) {
            return on_identity();  // not told: taken for the same
        }
        const bool broken = std::exchange(broken_, false);
        if (status_ == 410 || (is_absent() && status_ == 200)) {
            return expire_all();
        }
        if (status_ == 403 && !shared_.served && !is_absent() && kinds_.front().kind == model::Kind::secret) {
            return expire_all();  // the right was taken away; there may be one to some of them by name
        }
        if (is_absent() && (status_ == 404 || (status_ == 403 && is_named()))) {
            shared_.queue.recover(this);
            return shared_.streams->after(shared_.options.absent_poll, [this] { look_for_kind(); });
        }
        if (status_ == 404 && !shared_.served) {
            return on_unknown_kind();
        }
        if (failure && status_ == 0) {
            retry(error(Code::unavailable, failure->message));
            shared_.waiting[this] = [this] { wait(std::min(kReturn, pause_)); };
            return;
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
        failure ? ask_identity() : open();
    }

    void on_identity() {
        std::error_code failed;
        const json::value answer = json::parse(error_body_, failed);
        if (failed || !answer.is_object()) {
            return open();
        }
        const json::object& metadata = object_at(answer.get_object(), "metadata");
        std::string uid = text_at(metadata, "uid");
        for (const json::value& item : array_at(answer.get_object(), "items")) {
            const json::object& found = item.is_object() ? object_at(item.get_object(), "metadata") : metadata;
            uid = text_at(found, "name") == kSystemNamespace ? text_at(found, "uid") : uid;
        }
        if (!uid.empty() && uid != shared_.identity) {
            return expire_all();
        }
        if (!shared_.served) {
            // etcd was restored from a backup: until it comes to the version again, the server would keep silent.
            const auto newest = parse_revision(text_at(metadata, "resourceVersion"));
            expire_if([&](const Followed& each) {
                const auto seen = parse_revision(each.revision);
                return newest && seen && *seen > *newest;
            });
        }
        if (!kinds_.empty()) {
            open();
        }
    }

    /// What was removed with an extension came as events before. Only when it stays away is the kind listed again: a
    /// server that just does not know it yet must not make what is in force vanish.
    void on_unknown_kind() {
        const model::Kind kind = kinds_.front().kind;
        if (!is_of_extension(kind)) {
            return retry(unknown_kind(kind, error_of(404, error_body_, shared_.credentials.access())));
        }
        if (std::exchange(extension_gone_, true)) {
            return expire_all();
        }
        shared_.queue.recover(this);
        shared_.streams->after(shared_.options.absent_poll, [this] { open(); });
    }

    void retry(StoreError why) {
        if (!shared_.served) {
            why.message = std::string(model::info(kinds_.front().kind).name) + ": " + why.message;
        }
        why.code = Code::unavailable;
        shared_.queue.fail(std::move(why), this);
        pause_and_open();
    }

    void pause_and_open() {
        const milliseconds pause = pause_;
        pause_ = std::min(pause_ * 2, shared_.options.longest_pause);
        wait(pause);
    }

    /// Instead of what it waited for before.
    void wait(milliseconds pause) {
        shared_.streams->after(shared_.with_jitter(pause), [this, turn = ++turn_] {
            if (turn == turn_) {
                shared_.waiting.erase(this);
                is_absent() ? look_for_kind() : ask_identity();
            }
        });
    }

    Shared& shared_;
    std::vector<Followed> kinds_;  ///< that have not ended
    milliseconds pause_;
    Clock::time_point opened_;
    unsigned turn_ = 0;  ///< of waiting
    unsigned status_ = 0;
    std::string error_body_;
    json::stream_parser parser_;
    bool asks_identity_ = false;   ///< the answer at hand is the identity, not the watch
    bool ended_ = false;           ///< what follows on the stream means nothing
    bool broken_ = false;          ///< the stream brought an error
    bool extension_gone_ = false;  ///< the server did not know the kind any more, when it was asked last
};

class KubernetesWatch final : public Watch {
public:
    KubernetesWatch(const HttpModule& http, const Access& access, const HttpServer& server, CalicoGroup group,
                    std::string identity, std::span<const WatchStart> starts, const WatchOptions& options)
        : shared_(std::make_unique<Shared>(http, access, server, std::move(identity), options,
                                           group == CalicoGroup::served)) {
        std::vector<Followed> all;
        for (const WatchStart& start : starts) {
            Followed followed{start.kind, place_of(start.kind, group), start.revision};
            if (const auto secrets = named_secrets(start.revision)) {
                shared_->secrets.emplace();
                for (const NamedSecret& secret : *secrets) {
                    shared_->secrets->insert(secret.name);
                    followers_.push_back(std::make_unique<Follower>(
                        *shared_, std::vector{Followed{start.kind, followed.place, secret.revision, secret.name}}));
                }
                continue;
            }
            if (shared_->served) {
                all.push_back(std::move(followed));
            } else if (followed.place.form != Form::derived) {
                followers_.push_back(std::make_unique<Follower>(*shared_, std::vector{std::move(followed)}));
            }
        }
        if (!all.empty()) {
            followers_.push_back(std::make_unique<Follower>(*shared_, std::move(all)));
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
    [[nodiscard]] std::optional<StoreError> problem() override { return shared_->queue.problem(); }

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
