#include "serve/io/run.hpp"
#include "serve/io/chores.hpp"

#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/daemon.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/read_file.hpp"
#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/model/kind.hpp"
#include "config/model/rbac.hpp"
#include "config/model/referenced_secret.hpp"
#include "config/model/resource.hpp"
#include "config/open_store.hpp"
#include "config/settings.hpp"
#include "config/store/document.hpp"
#include "config/store/memory.hpp"
#include "config/store/store.hpp"
#include "net/ip.hpp"
#include "serve/api.hpp"
#include "serve/hub.hpp"
#include "serve/io/audit_log.hpp"
#include "serve/io/gzip.hpp"
#include "serve/io/http_server.hpp"
#include "serve/messages.hpp"
#include "serve/page_cache.hpp"
#include "serve/rights.hpp"
#include "serve/secrets.hpp"
#include "serve/tokens.hpp"

namespace manul::serve {

namespace {

/// Requests are worked on by so many threads, each with a Store of its own.
constexpr std::size_t kWorkers = 4;
constexpr std::int64_t kSecondUs = 1'000'000;
constexpr std::int64_t kFileCheckSeconds = 10;
constexpr std::array kRightsKinds{model::Kind::role, model::Kind::cluster_role, model::Kind::role_binding,
                                  model::Kind::cluster_role_binding};

std::int64_t now_us() {
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
}

std::int64_t steady_seconds() {
    return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

struct Listen {
    std::string host;
    std::uint16_t port = 0;
};

Result<Listen> parse_listen(const std::string& text) {
    const std::size_t colon = text.rfind(':');
    Listen out;
    if (colon == std::string::npos) {
        return fail("serve.listen: expected ADDRESS:PORT, found \"" + text + "\"");
    }
    out.host = text.substr(0, colon);
    if (out.host.starts_with('[') && out.host.ends_with(']')) {
        out.host = out.host.substr(1, out.host.size() - 2);
    }
    const auto [end, failed] = std::from_chars(text.data() + colon + 1, text.data() + text.size(), out.port);
    if (failed != std::errc{} || end != text.data() + text.size() || !net::Ip::parse(out.host)) {
        return fail("serve.listen: expected ADDRESS:PORT such as 0.0.0.0:6443 or [::]:6443, found \"" + text + "\"");
    }
    return out;
}

bool is_loopback(const std::string& host) { return host == "::1" || host.starts_with("127."); }

/// Every client of a watch is a connection of its own.
void allow_many_connections() {
    struct rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        static_cast<void>(::setrlimit(RLIMIT_NOFILE, &limit));  // then fewer are served
    }
}

/// Size and time of a file, to see that it was changed.
std::string mark_of(const std::string& path) {
    struct stat status{};
    if (path.empty() || ::stat(path.c_str(), &status) != 0) {
        return {};
    }
    return std::to_string(status.st_ino) + "/" + std::to_string(status.st_size) + "/" +
           std::to_string(status.st_mtim.tv_sec) + "." + std::to_string(status.st_mtim.tv_nsec);
}

/// The files that make up who the server is and who its clients are; read again when they change.
class Files {
public:
    explicit Files(const config::ServeSettings& settings) : settings_(settings) {}

    [[nodiscard]] Result<ServerIdentity> identity() const {
        ServerIdentity out;
        MANUL_TRY(out.certificate, read_file(settings_.tls_cert_file));
        MANUL_TRY(out.key, read_secret_file(settings_.tls_key_file));
        if (!settings_.client_ca_file.empty()) {
            MANUL_TRY(out.client_ca, read_file(settings_.client_ca_file));
        }
        return out;
    }

    [[nodiscard]] Result<void> read_tokens() {
        if (settings_.tokens_file.empty()) {
            return {};
        }
        MANUL_TRY(const std::string text, read_secret_file(settings_.tokens_file));
        auto parsed = Tokens::parse(text);
        if (!parsed) {
            return fail(settings_.tokens_file + ": " + parsed.error().message);
        }
        const std::lock_guard lock(mutex_);
        tokens_ = *std::move(parsed);
        return {};
    }

    [[nodiscard]] Caller find_token(std::string_view token) {
        const std::lock_guard lock(mutex_);
        return tokens_.find(token);
    }

    /// Reads again what was changed since the last call.
    void refresh(HttpServer& server, bool tls) {
        if (changed(settings_.tokens_file)) {
            report(settings_.tokens_file, read_tokens());
        }
        bool renewed = false;
        for (const std::string* file : {&settings_.tls_cert_file, &settings_.tls_key_file, &settings_.client_ca_file}) {
            renewed = changed(*file) || renewed;
        }
        if (renewed && tls) {
            const auto read = identity();
            report(settings_.tls_cert_file, read ? server.use(*read) : std::unexpected(read.error()));
        }
    }

    /// What there is now is what was read.
    void remember() {
        for (const std::string* file :
             {&settings_.tokens_file, &settings_.tls_cert_file, &settings_.tls_key_file, &settings_.client_ca_file}) {
            static_cast<void>(changed(*file));
        }
    }

private:
    bool changed(const std::string& file) {
        std::string mark = mark_of(file);
        std::string& known = marks_[file];
        return std::exchange(known, mark) != mark;
    }
    static void report(const std::string& file, const Result<void>& done) {
        done ? log::emit(kFilesRead, file) : log::emit(kFilesUnread, done.error().message);
    }

    config::ServeSettings settings_;
    std::map<std::string, std::string> marks_;
    std::mutex mutex_;
    Tokens tokens_;
};

/// The roles and bindings in force, and the Secrets that are referenced, followed in the store.
class RightsKeeper {
public:
    using OnReferences = std::function<void(ReferencedSecrets)>;

    RightsKeeper(boost::asio::io_context& io, store::Store& store, OnReferences on_references)
        : io_(io), store_(store), on_references_(std::move(on_references)), rights_(Rights::make({})) {}

    [[nodiscard]] std::shared_ptr<const Rights> get() {
        const std::lock_guard lock(mutex_);
        return rights_;
    }

    /// Reads everything when there is no watch; to be called about once a second.
    void check() {
        if (!watch_) {
            begin();
        } else if (references_unread_) {
            read_references();
        }
    }

private:
    void begin() {
        std::vector<store::WatchStart> starts;
        const auto add = [&](std::span<const model::Kind> kinds) -> store::StoreResult<void> {
            for (const model::Kind kind : kinds) {
                MANUL_TRY(const store::Listing listing, store_.list({.kind = kind, .ns = {}, .name_prefix = {}}));
                starts.push_back({kind, listing.revision});
            }
            return {};
        };
        auto added = add(kRightsKinds);
        if (added) {
            added = add(model::kReferringKinds);
        }
        if (!added) {
            return failed(added.error());
        }
        auto watch = store_.watch(starts);
        if (!watch) {
            return failed(watch.error());
        }
        watch_ = *std::move(watch);
        read();
        read_references();
        ready_ = std::make_unique<ReadableWatch>(io_, watch_->fd(), [this] { on_readable(); });
    }

    void on_readable() {
        const auto events = watch_->take();
        if (!events) {
            return failed(events.error());
        }
        const auto is_of = [](const store::Event& event) {
            return std::ranges::find(kRightsKinds, event.object.key.kind) != kRightsKinds.end();
        };
        if (std::ranges::any_of(*events, is_of)) {
            read();
        }
        if (!std::ranges::all_of(*events, is_of)) {
            read_references();
        }
        for (const store::Event& event : *events) {
            if (event.type == store::Event::Type::resync) {
                ready_.reset();
                watch_.reset();
                return;
            }
        }
    }

    void read() {
        std::vector<model::ResourcePtr> objects;
        for (const model::Kind kind : kRightsKinds) {
            const auto listing = store_.list({.kind = kind, .ns = {}, .name_prefix = {}});
            if (!listing) {
                return failed(listing.error());
            }
            for (const store::Object& object : listing->items) {
                // A rule that cannot be read gives nothing: rights only ever add up.
                const auto decoded = codec::decode(kind, *object.document, codec::Mode::lenient);
                if (decoded.ok()) {
                    objects.push_back(decoded.resource);
                }
            }
        }
        reported_ = false;
        auto made = Rights::make(objects);
        const std::lock_guard lock(mutex_);
        rights_ = std::move(made);
    }

    void read_references() {
        auto referenced = read_referenced_secrets(store_);
        references_unread_ = !referenced;
        if (!referenced) {
            return failed(referenced.error());
        }
        on_references_(*std::move(referenced));
    }

    void failed(const store::StoreError& error) {
        if (!std::exchange(reported_, true)) {
            log::emit(kRightsUnread, error.message);
        }
    }

    boost::asio::io_context& io_;
    store::Store& store_;
    OnReferences on_references_;
    std::unique_ptr<store::Watch> watch_;
    std::unique_ptr<ReadableWatch> ready_;
    bool reported_ = false;
    bool references_unread_ = false;
    std::mutex mutex_;
    std::shared_ptr<const Rights> rights_;
};

/// Everything together. Threads: the HTTP server's own, the workers, and the one that runs the io_context, which feeds
/// the watches.
class Service {
public:
    Service(const config::Settings& settings, const ServeOptions& options)
        : settings_(settings), options_(options), files_(settings.serve), timer_(daemon_.io(), [this] { tick(); }) {}

    ~Service() {
        if (server_) {
            server_->stop();  // no request reaches the workers from here on
        }
        workers_.clear();
    }
    Service(const Service&) = delete;
    Service& operator=(const Service&) = delete;

    Result<int> run() {
        allow_many_connections();
        MANUL_TRY(audit_, AuditLog::open(settings_.log_dir + "/audit.log"));
        MANUL_TRY(store_, open_store());
        for (std::size_t i = 0; i < kWorkers; ++i) {
            MANUL_TRY(auto store, open_store());
            auto worker = std::make_unique<RequestWorker>();
            worker->store = std::move(store);
            worker->api = std::make_unique<Api>(*worker->store, pages_);
            worker->thread = std::make_unique<Worker>(daemon_.io());
            workers_.push_back(std::move(worker));
        }
        hub_ = std::make_unique<Hub>(*store_, Hub::Hooks{[this](Hub::FeedId id, int fd) { follow(id, fd); },
                                                         [this](Hub::FeedId id) { followed_.erase(id); }});
        rights_ = std::make_unique<RightsKeeper>(
            daemon_.io(), *store_, [this](ReferencedSecrets referenced) { hub_->refer(std::move(referenced)); });
        MANUL_TRY(auto chores_store, open_store());
        chores_ = std::make_unique<Chores>(daemon_.io(), std::move(chores_store));
        write_roles();
        rights_->check();
        MANUL_CHECK(files_.read_tokens());
        files_.remember();
        MANUL_TRY(const Listen listen, parse_listen(settings_.serve.listen));
        ListenOptions listening{.host = listen.host, .port = listen.port, .tls = !options_.insecure, .identity = {}};
        if (listening.tls) {
            MANUL_TRY(listening.identity, files_.identity());
        }
        MANUL_TRY(const HttpServerModule* const module, load_http_server());
        MANUL_TRY(server_, module->listen(listening, [this](Request request, const Credentials& credentials,
                                                            std::shared_ptr<Exchange> exchange) {
            on_request(std::move(request), credentials, std::move(exchange));
        }));
        const bool v6 = listen.host.find(':') != std::string::npos;
        log::emit(kListening, std::string(options_.insecure ? "http://" : "https://") +
                                  (v6 ? "[" + listen.host + "]" : listen.host) + ":" + std::to_string(server_->port()));
        timer_.after_us(kSecondUs);
        daemon_.ready();
        return daemon_.run();
    }

private:
    struct RequestWorker {
        std::unique_ptr<store::Store> store;
        std::unique_ptr<Api> api;
        std::unique_ptr<Worker> thread;  // last: it uses the others
    };

    Result<std::unique_ptr<store::Store>> open_store() {
        if (settings_.datastore.type != config::DatastoreType::memory) {
            return config::open_store_for_api(settings_);
        }
        if (!memory_) {
            memory_ = store::make_memory_database();
        }
        return store::make_memory(memory_);
    }

    /// People look for the built-in roles in the store, as this version has them; they are in force also where they
    /// cannot be written.
    void write_roles() {
        for (const auto& [key, document] : built_in_role_documents()) {
            const auto stored = store_->get(key);
            if (!stored) {
                static_cast<void>(store_->create(key, document));
            } else if (!has_rules(*stored, document)) {
                static_cast<void>(store_->update(key, document, stored->revision));
            }
        }
    }

    static bool has_rules(const store::Object& stored, const std::string& document) {
        const auto rules = [&](std::string_view text) {
            const auto role = model::as<model::ClusterRole>(
                codec::decode(model::Kind::cluster_role, text, codec::Mode::lenient).resource);
            return role ? role->rules : std::vector<model::PolicyRule>{};
        };
        return rules(*stored.document) == rules(document);
    }

    [[nodiscard]] Caller caller_of(const Credentials& credentials) {
        if (options_.insecure) {
            return {.user = "admin", .uid = "", .groups = {kAdminGroup, kEveryoneGroup}};
        }
        if (!credentials.common_name.empty()) {
            Caller caller{.user = credentials.common_name, .uid = "", .groups = credentials.organizations};
            caller.groups.emplace_back(kEveryoneGroup);
            return caller;
        }
        return credentials.token.empty() ? Caller{} : files_.find_token(credentials.token);
    }

    /// On the server's thread.
    void on_request(Request request, const Credentials& credentials, std::shared_ptr<Exchange> exchange) {
        RequestWorker& worker = *workers_[next_worker_++ % workers_.size()];
        worker.thread->submit([this, &worker, request = std::move(request), caller = caller_of(credentials),
                               exchange = std::move(exchange)]() -> std::move_only_function<void()> {
            return work(worker, request, caller, exchange);
        });
    }

    /// On a worker's thread; what it returns runs on the io_context's.
    std::move_only_function<void()> work(RequestWorker& worker, const Request& request, const Caller& caller,
                                         const std::shared_ptr<Exchange>& exchange) {
        const std::int64_t now = now_us();
        Answer answer = worker.api->handle(request, caller, {rights_->get(), now / kSecondUs});
        for (const AuditEntry& entry : answer.audit) {
            const auto written = audit_->append(audit_line(entry, request, caller, store::make_uid(), now));
            const bool failed_before = audit_failed_.exchange(!written);
            if (!written && !failed_before) {
                log::emit(kAuditFailed, audit_->path(), written.error().message);
            }
        }
        if (answer.watches.empty()) {
            compress(answer.response, request.accept_encoding);
            exchange->respond(std::move(answer.response));
            return [] {};
        }
        return [this, watches = std::move(answer.watches), stream = exchange->stream()]() mutable {
            hub_->add(std::move(watches), std::move(stream), steady_seconds());
        };
    }

    void follow(Hub::FeedId id, int fd) {
        followed_[id] = std::make_unique<ReadableWatch>(daemon_.io(), fd, [this, id] { hub_->readable(id); });
    }

    void tick() {
        rights_->check();
        chores_->check(steady_seconds());
        hub_->tick(steady_seconds());
        if (++ticks_ % kFileCheckSeconds == 0) {
            files_.refresh(*server_, !options_.insecure);
        }
        timer_.after_us(kSecondUs);
    }

    const config::Settings& settings_;
    ServeOptions options_;
    Files files_;
    Daemon daemon_{"manulctl-serve"};
    std::shared_ptr<store::MemoryDatabase> memory_;
    std::unique_ptr<store::Store> store_;  ///< of the io_context's thread
    std::unique_ptr<AuditLog> audit_;
    std::atomic<bool> audit_failed_ = false;
    std::unique_ptr<RightsKeeper> rights_;
    std::unique_ptr<Chores> chores_;
    PageCache pages_;
    std::map<Hub::FeedId, std::unique_ptr<ReadableWatch>> followed_;
    std::unique_ptr<Hub> hub_;
    std::vector<std::unique_ptr<RequestWorker>> workers_;
    std::size_t next_worker_ = 0;
    std::unique_ptr<HttpServer> server_;
    std::int64_t ticks_ = 0;
    Timer timer_;
};

}  // namespace

Result<void> check_settings(const config::Settings& settings, const ServeOptions& options) {
    MANUL_TRY(const Listen listen, parse_listen(settings.serve.listen));
    switch (settings.datastore.type) {
        case config::DatastoreType::kubernetes:
            return fail("datastore.type: kubernetes has an API server already; use that one");
        case config::DatastoreType::server:
            return fail("datastore.type: server is the client of this program; serve needs sqlite, etcd or memory");
        default:
            break;
    }
    if (options.insecure) {
        return is_loopback(listen.host)
                   ? Result<void>()
                   : fail(
                         "--insecure makes every caller an admin, so it listens on a loopback address alone; "
                         "serve.listen is " +
                         settings.serve.listen);
    }
    if (settings.serve.tls_cert_file.empty() || settings.serve.tls_key_file.empty()) {
        return fail(
            "serve.tls_cert_file and serve.tls_key_file must be set (or --insecure given, on a loopback "
            "address)");
    }
    if (settings.serve.client_ca_file.empty() && settings.serve.tokens_file.empty()) {
        return fail("nobody could log in: set serve.client_ca_file (client certificates) or serve.tokens_file");
    }
    return {};
}

Result<int> run(const config::Settings& settings, const ServeOptions& options) {
    MANUL_CHECK(check_settings(settings, options));
    Service service(settings, options);
    return service.run();
}

}  // namespace manul::serve
