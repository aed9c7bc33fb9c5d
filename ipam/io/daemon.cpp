#include "ipam/io/daemon.hpp"

#include <fcntl.h>
#include <net/if.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include <fmt/core.h>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "base/log.hpp"
#include "base/try.hpp"
#include "base/unique_fd.hpp"
#include "ipam/core/names.hpp"
#include "ipam/messages.hpp"

namespace manul::ipam {

namespace {

namespace json = boost::json;

constexpr std::size_t kEndedRemembered = 4096;

void send(control::Reply& reply, const Answer& answer) { reply(to_json(answer)); }

/// On Kubernetes the boot is not noted: it would stand in the Pod, where its owner could write another, and pods get a
/// new sandbox after a reboot anyway.
HostIdentity identity_of_host(const config::Settings& settings) {
    const bool on_kubernetes = settings.datastore.type == config::DatastoreType::kubernetes;
    return {settings.node_name, on_kubernetes ? std::string() : read_boot_id(), on_kubernetes};
}

Result<void> make_directory(const std::string& path, mode_t mode) {
    if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) {
        return fail(path + ": cannot create: " + std::strerror(errno));  // NOLINT(concurrency-mt-unsafe)
    }
    return {};
}

/// Also when that cannot be found out, for want of descriptors.
bool may_exist(const std::string& interface) { return ::if_nametoindex(interface.c_str()) != 0 || errno != ENODEV; }

}  // namespace

WallTime wall_now() { return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()); }

std::string read_boot_id() {
    const UniqueFd file(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
    std::array<char, 64> buffer{};
    const ssize_t count = file ? ::read(file.get(), buffer.data(), buffer.size()) : 0;
    std::string id(buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    while (!id.empty() && id.back() == '\n') {
        id.pop_back();
    }
    return id;
}

Ipamd::Ipamd(Daemon& daemon, const config::Settings& settings, std::unique_ptr<store::Store> store)
    : daemon_(daemon),
      settings_(settings),
      host_{identity_of_host(settings)},
      store_(std::move(store)),
      service_(*store_, host_),
      connect_timer_(daemon.io(), [this] { connect(); }),
      journal_timer_(daemon.io(), [this] { read_journal(); }),
      presence_timer_(daemon.io(), [this] { check_presence(); }),
      tidy_timer_(daemon.io(), [this] { tidy(); }),
      chores_timer_(daemon.io(), [this] { run_chores(); }),
      history_timer_(daemon.io(), [this] { write_history(); }),
      history_(settings.state_dir + "/ipam-history.log"),
      store_worker_(daemon.io()),
      link_worker_(daemon.io()),
      journal_worker_(daemon.io()),
      chores_worker_(daemon.io()),
      report_(daemon.io(), store_worker_, *store_) {}

Ipamd::~Ipamd() = default;

Result<void> Ipamd::open() {
    MANUL_CHECK(make_directory(settings_.run_dir, 0755));
    MANUL_CHECK(make_directory(settings_.state_dir, 0755));
    // First: where another one listens already, nothing of its may be touched. Nobody is answered before this returns.
    MANUL_TRY(plugin_server_, control::Server::listen(daemon_.io(), settings_.run_dir + "/cni.sock",
                                                      [this](const json::object& request, Reply reply) {
                                                          on_plugin_request(request, std::move(reply));
                                                      }));
    MANUL_TRY(control_server_, control::Server::listen(daemon_.io(), settings_.run_dir + "/ipamd.sock",
                                                       [this](const json::object& request, Reply reply) {
                                                           on_control_request(request, std::move(reply));
                                                       }));
    MANUL_TRY(auto links, HostLinks::open());
    links_ = std::make_unique<HostLinks>(std::move(links));
    MANUL_TRY(auto lookout, HostLinks::open());
    lookout_ = std::make_unique<HostLinks>(std::move(lookout));
    MANUL_TRY(auto log, DeleteLog::open(settings_.state_dir + "/ipamd-deletes.log"));
    log_ = std::make_unique<DeleteLog>(std::move(log));
    std::vector<HostLinks> lanes;
    for (std::size_t i = 0; i < Deleter::kLanes; ++i) {
        MANUL_TRY(auto lane, HostLinks::open());
        lanes.push_back(std::move(lane));
    }
    deleter_ = std::make_unique<Deleter>(
        daemon_.io(), Deleter::Parts{store_worker_, service_, std::move(lanes), journal_worker_, *log_},
        Deleter::Hooks{[this] { return std::set<std::string>(awaited_.begin(), awaited_.end()); },
                       [this](const Release& release, const std::string& problem) { on_del_settled(release, problem); },
                       [this] { try_again_for_room(); }, wall_now});
    for (const auto& [id, request] : log_->pending()) {
        ending_.insert(request.attachment);
        durable_.emplace(request.attachment, request.network);
        deleter_->add(id, request);
    }
    // What was put aside before a restart: its attachment is freed by its DEL or as a leak.
    MANUL_TRY(const auto present, links_->list());
    store_worker_.submit([this, uplinks = uplinks_of(present)]() mutable {
        service_.set_uplinks(std::move(uplinks));
        return [] {};
    });
    std::vector<std::uint32_t> doomed;
    for (const netlink::Link& link : present) {
        if (link.group == kDoomedGroup) {
            doomed.push_back(link.index);
        }
    }
    MANUL_CHECK(links_->remove(doomed));
    MANUL_CHECK(open_status_servers());
    read_journal();
    connect();
    return {};
}

// ---- requests of the plugin

void Ipamd::on_plugin_request(const json::object& object, Reply reply) {
    auto request = decode_request(object);
    if (!request) {
        log::emit(kPluginRequestRefused, request.error().message);
        send(reply, failure(ErrorCode::cannot_decode, request.error().message));
        return;
    }
    switch (request->op) {
        case Op::add: {
            awaited_.insert(request->host_interface);
            adding_.insert(request->attachment);
            // Earlier DELs say nothing about what this one makes.
            durable_.erase({request->attachment, request->network});
            ended_.erase({request->attachment, request->network});
            repeated_.erase({request->attachment, request->network});
            begin_journaled_del(*request);
            auto add = std::make_shared<WaitingAdd>(WaitingAdd{*std::move(request), std::move(reply)});
            if (ending_.contains(add->request.attachment)) {
                held_.emplace(add->request.attachment, add);
                return;
            }
            adds_.push_back(std::move(add));
            run_adds();
            return;
        }
        case Op::del:
            on_del(*std::move(request), std::move(reply));
            return;
        case Op::gc:
            on_gc(*request, std::move(reply));
            return;
        case Op::check:
        case Op::status:
            on_question(*std::move(request), std::move(reply));
            return;
    }
}

/// A DEL from when this daemon was away ended what was before the request.
void Ipamd::begin_journaled_del(const Request& request) {
    if (auto earlier = find_journal_file(journal_directory(), request)) {
        enqueue_del({std::move(earlier->request), nullptr, std::move(earlier->path)});
        log_dels();
    }
}

void Ipamd::run_adds() {
    if (adds_running_ || adds_.empty()) {
        return;
    }
    adds_running_ = true;
    store_worker_.submit([this, batch = std::exchange(adds_, {})] {
        std::vector<std::pair<std::shared_ptr<WaitingAdd>, KnownAttachment>> blocked;
        std::vector<std::shared_ptr<WaitingAdd>> clear;
        std::vector<Request> requests;
        for (const auto& add : batch) {
            const auto old = add->way_is_clear ? std::nullopt : predecessor_of(add->request);
            if (old && old->of_this_boot) {
                blocked.emplace_back(add, *old);
            } else {
                clear.push_back(add);
                requests.push_back(add->request);
            }
        }
        const auto asked_at = std::chrono::steady_clock::now();
        auto added = add_all(requests);
        for (const auto& add : clear) {
            if (add->former_handle && !service_.owns_handle(*add->former_handle, add->request)) {
                add->former_handle.reset();
            }
        }
        metrics_.commit_seconds.observe(
            std::chrono::duration<double>(std::chrono::steady_clock::now() - asked_at).count());
        return [this, blocked = std::move(blocked), clear = std::move(clear), changes = std::move(added.changes),
                readable = std::move(added.readable), results = std::move(added.results)]() mutable {
            adds_running_ = false;
            if (started_ && changes) {
                on_changes(*changes, std::move(readable));
            }
            for (std::size_t i = 0; i < clear.size(); ++i) {
                if (waits_for_room(clear[i], results[i].answer)) {
                    continue;
                }
                answer_add(*clear[i], results[i].answer);
                for (const auto& former : {results[i].replaced_handle, clear[i]->former_handle}) {
                    if (former && !results[i].answer.error) {
                        deleter_->add_aside(0, {}, *former);
                    }
                }
            }
            for (auto& [add, old] : blocked) {
                clear_way(std::move(add), old);
            }
            run_adds();
            record_history();
        };
    });
}

/// An address that a DEL is about to free may be the one that is asked for, or the last of its pool: the runtime was
/// answered and takes it for free.
bool Ipamd::waits_for_room(const std::shared_ptr<WaitingAdd>& add, const Answer& answer) {
    if (!answer.error || !answer.error->no_room || deleter_->waiting() == 0 || add->tries == kMostTries) {
        return false;
    }
    ++add->tries;
    without_room_.emplace(add->request.attachment, add);
    return true;
}

void Ipamd::try_again_for_room() {
    for (auto& [attachment, add] : std::exchange(without_room_, {})) {
        adds_.push_back(std::move(add));
    }
    run_adds();
}

void Ipamd::answer_add(WaitingAdd& add, const Answer& answer) {
    send(add.reply, answer);
    if (const auto at = awaited_.find(add.request.host_interface); at != awaited_.end()) {
        awaited_.erase(at);
    }
    if (const auto at = adding_.find(add.request.attachment); at != adding_.end()) {
        adding_.erase(at);
    }
    if (!answer.error) {
        known_.insert_or_assign(add.request.attachment, add.request.network);
    }
    (answer.error ? metrics_.adds_failed : metrics_.adds).add();
    if (answer.error) {
        log::emit(kAddFailed, add.request.attachment.container_id, add.request.attachment.ifname, add.request.network,
                  answer.error->msg);
    } else {
        log::emit(kAdded, answer.endpoint, answer.ips.empty() ? "" : answer.ips.front().to_string());
    }
}

void Ipamd::clear_way(std::shared_ptr<WaitingAdd> add, const KnownAttachment& old) {
    link_worker_.submit([this, add = std::move(add), old] {
        std::uint32_t aside = 0;
        Attachment of = old.attachment;  // whose link it is
        std::string problem;
        auto link = links_->find(old.interface_name);
        if (!link) {
            problem = link.error().message;
        } else if (*link && may_put_aside(**link, old.attachment, add->request.attachment,
                                          host_.on_kubernetes || old.attachment.container_id.empty())) {
            aside = (*link)->index;
            of.container_id = (*link)->alias;
            if (auto renamed = links_->put_aside(aside); !renamed) {
                problem = renamed.error().message;
            }
        }
        // A name has one link: where it is an older one's, or nobody's, the predecessor's is gone.
        const bool gone = link && (!*link || of != old.attachment) && !old.attachment.container_id.empty();
        return [this, add, old, aside, of, gone, problem = std::move(problem)] {
            if (!problem.empty()) {
                answer_add(*add,
                           failure(ErrorCode::try_again, "the older link of the same pod is in the way: " + problem));
                return;
            }
            const std::string& network = old.network.empty() ? add->request.network : old.network;
            if (gone) {
                add->former_handle = handle_id(network, old.attachment);
            }
            if (aside != 0) {
                log::emit(kTakenOver, old.interface_name, of.container_id, add->request.attachment.container_id);
                deleter_->add_aside(aside, of.container_id, handle_id(network, of));
            }
            add->way_is_clear = true;
            adds_.push_back(add);
            run_adds();
        };
    });
}

void Ipamd::on_gc(const Request& request, Reply reply) {
    auto shared = std::make_shared<Reply>(std::move(reply));
    store_worker_.submit([this, request, shared] {
        auto known = service_.attachments();
        return [this, request, shared, known = std::move(known)] {
            if (!known) {
                Answer answer;
                answer.error = known.error();
                send(*shared, answer);
                return;
            }
            const std::set<Attachment> valid(request.valid_attachments.begin(), request.valid_attachments.end());
            auto left = std::make_shared<std::size_t>(1);
            auto worst = std::make_shared<Answer>();
            const auto finish_one = [shared, left, worst](const Answer& answer) {
                if (answer.error) {
                    *worst = answer;
                }
                if (--*left == 0) {
                    send(*shared, *worst);
                }
            };
            for (const KnownAttachment& one : *known) {
                // What a runtime adds at this moment it cannot know of yet.
                if (one.network == request.network && !valid.contains(one.attachment) &&
                    !adding_.contains(one.attachment)) {
                    Request del;
                    del.op = Op::del;
                    del.network = one.network;
                    del.attachment = one.attachment;
                    del.host_interface = one.interface_name;
                    ++*left;
                    enqueue_del({std::move(del), finish_one, {}});
                }
            }
            log_dels();
            finish_one({});
        };
    });
}

void Ipamd::on_question(Request request, Reply reply) {
    if (request.op == Op::check) {
        begin_journaled_del(request);
        if (ending_.contains(request.attachment)) {
            Answer answer = failure(ErrorCode::unknown_container,
                                    fmt::format("container {} interface {} is being deleted",
                                                request.attachment.container_id, request.attachment.ifname));
            answer.ending = true;
            send(reply, answer);
            return;
        }
        if (adding_.contains(request.attachment)) {
            send(reply, failure(ErrorCode::try_again,
                                fmt::format("container {} interface {} is being added", request.attachment.container_id,
                                            request.attachment.ifname)));
            return;
        }
    }
    auto shared = std::make_shared<Reply>(std::move(reply));
    store_worker_.submit([this, request = std::move(request), shared] {
        Answer answer = request.op == Op::check ? service_.check(request) : service_.status(request, wall_now());
        if (request.op == Op::status && !answer.error) {
            if (const std::string why = why_not_writable(); !why.empty()) {
                answer = failure(ErrorCode::not_available, why);
            }
        }
        return [shared, answer = std::move(answer)] { send(*shared, answer); };
    });
}

// A DEL that has something to do is flushed to the log before it is answered. Runtimes send most of them twice, and the
// second one should cost nothing.
void Ipamd::on_del(Request request, Reply reply) {
    const Attachment attachment = request.attachment;
    if (const auto known = known_.find(attachment); known != known_.end() && known->second != request.network) {
        send(reply, {});  // of another network, which has no attachment of this name
        return;
    }
    refuse_held(attachment, "a DEL of this container came while its ADD waited");
    const OfNetwork named{attachment, request.network};
    // One that was carried out, or is being, may have come before its ADD was over, and found no link yet.
    if (durable_.contains(named)) {
        repeated_.insert_or_assign(named, std::move(request));
        send(reply, {});
        return;
    }
    if (ended_.contains(named) && !may_exist(request.host_interface)) {
        send(reply, {});
        return;
    }
    auto shared = std::make_shared<Reply>(std::move(reply));
    const auto answer = [shared](const Answer& it) { send(*shared, it); };
    if (known_.contains(attachment) || adding_.contains(attachment) || ending_.contains(attachment)) {
        enqueue_del({std::move(request), answer, {}});
        log_dels();
        return;
    }
    ending_.insert(attachment);  // an ADD that comes now is a later one
    store_worker_.submit([this, request = std::move(request), answer]() mutable {
        const auto known = service_.find(request.attachment).value_or(std::nullopt);
        const bool of_another = known && !known->network.empty() && known->network != request.network;
        const bool anything = !service_.is_unknown({request.network, request.attachment, {}}) ||
                              (!of_another && may_exist(request.host_interface));
        return [this, request = std::move(request), answer, anything]() mutable {
            const Release of{request.network, request.attachment, {}};
            if (anything) {
                enqueue_del({std::move(request), answer, {}});
                log_dels();
            } else {
                answer({});
            }
            on_del_settled(of, {});  // this question is; the DEL itself, if there is one, counts on its own
        };
    });
}

void Ipamd::remember_ended(const OfNetwork& named) {
    ended_.insert(named);
    ended_order_.push_back(named);
    if (ended_order_.size() > kEndedRemembered) {
        ended_.erase(ended_order_.front());
        ended_order_.pop_front();
    }
}

void Ipamd::refuse_held(const Attachment& attachment, const std::string& why) {
    for (auto* waiting : {&held_, &without_room_}) {
        const auto [first, last] = waiting->equal_range(attachment);
        for (auto at = first; at != last; ++at) {
            answer_add(*at->second, failure(ErrorCode::try_again, why));
        }
        waiting->erase(first, last);
    }
}

void Ipamd::enqueue_del(WaitingDel del) {
    ending_.insert(del.request.attachment);
    dels_.push_back(std::move(del));
}

void Ipamd::on_del_settled(const Release& release, const std::string& problem) {
    const Attachment& attachment = release.attachment;
    (problem.empty() ? metrics_.dels : metrics_.dels_delayed).add();
    if (!problem.empty()) {
        refuse_held(attachment, "the DEL of this container is not carried out yet: " + problem);
        return;
    }
    if (const auto at = ending_.find(attachment); at != ending_.end()) {
        ending_.erase(at);
    }
    if (const auto known = known_.find(attachment); known != known_.end() && known->second == release.network) {
        known_.erase(known);
    }
    if (ending_.contains(attachment)) {
        return;
    }
    for (auto at = durable_.lower_bound({attachment, {}}); at != durable_.end() && at->first == attachment;
         at = durable_.erase(at)) {
        remember_ended(*at);
        if (auto again = repeated_.extract(*at); again && may_exist(again.mapped().host_interface)) {
            enqueue_del({std::move(again.mapped()), nullptr, {}});
        }
    }
    log_dels();
    if (ending_.contains(attachment)) {
        return;
    }
    const auto [first, last] = held_.equal_range(attachment);
    for (auto at = first; at != last; ++at) {
        adds_.push_back(at->second);
    }
    held_.erase(first, last);
    run_adds();
}

/// What the disk has no room for need not be remembered where it can be done before it is answered.
void Ipamd::carry_out_unlogged(const WaitingDel& del, const std::string& why) {
    deleter_->try_once(del.request, [this, del, why](const std::string& problem) {
        if (problem.empty() && !del.journal_file.empty()) {
            journal_worker_.submit([file = del.journal_file] {
                remove_journal_file({file, {}});
                return [] {};
            });
        }
        if (del.answer) {
            del.answer(problem.empty() ? Answer{} : failure(ErrorCode::try_again, why + "; " + problem));
        }
        // Also where it failed: the runtime, or the plugin's file, comes again.
        on_del_settled({del.request.network, del.request.attachment, {}}, {});
    });
}

void Ipamd::log_dels() {
    if (dels_running_ || dels_.empty()) {
        return;
    }
    dels_running_ = true;
    auto batch = std::make_shared<std::vector<WaitingDel>>(std::exchange(dels_, {}));
    journal_worker_.submit([this, batch] {
        std::vector<Request> requests;
        for (const WaitingDel& del : *batch) {
            requests.push_back(del.request);
        }
        auto ids = log_->append(requests);
        for (const WaitingDel& del : *batch) {
            if (ids && !del.journal_file.empty()) {
                remove_journal_file({del.journal_file, {}});
            }
        }
        return [this, batch, ids = std::move(ids)] {
            dels_running_ = false;
            if (!ids) {
                log::emit(kJournalFailed, ids.error().message);
            }
            for (std::size_t i = 0; i < batch->size(); ++i) {
                const WaitingDel& del = (*batch)[i];
                if (ids) {
                    if (!adding_.contains(del.request.attachment)) {  // that ADD may be carried out after this DEL
                        durable_.emplace(del.request.attachment, del.request.network);
                    }
                    deleter_->add((*ids)[i], del.request);
                } else {
                    carry_out_unlogged(del, ids.error().message);
                    continue;
                }
                if (del.answer) {
                    del.answer({});
                }
            }
            log_dels();
        };
    });
}

}  // namespace manul::ipam
