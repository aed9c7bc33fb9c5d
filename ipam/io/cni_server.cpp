#include "ipam/io/cni_server.hpp"

#include <algorithm>
#include <chrono>

#include <fmt/core.h>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "base/log.hpp"
#include "base/try.hpp"
#include "ipam/core/names.hpp"
#include "ipam/io/abandoned.hpp"
#include "ipam/io/wall_clock.hpp"
#include "ipam/messages.hpp"

namespace manul::ipam {

namespace {

constexpr unsigned kMostTries = 8;  // more than there are batches of deletions at a time

void send(control::Reply& reply, const Answer& answer) { reply(to_json(answer)); }

}  // namespace

CniServer::CniServer(boost::asio::io_context& io, const config::Settings& settings, Parts parts)
    : io_(io),
      settings_(settings),
      parts_(std::move(parts)),
      journal_timer_(io, [this] { read_journal(); }),
      journal_worker_(io) {}

Result<void> CniServer::open() {
    MANUL_TRY(server_, control::Server::listen(io_, settings_.run_dir + "/cni.sock",
                                               [this](const boost::json::object& request, Reply reply) {
                                                   on_request(request, std::move(reply));
                                               }));
    MANUL_TRY(auto log, DeleteLog::open(settings_.state_dir + "/ipamd-deletes.log"));
    log_ = std::make_unique<DeleteLog>(std::move(log));
    std::vector<HostLinks> lanes;
    for (std::size_t i = 0; i < Deleter::kLanes; ++i) {
        MANUL_TRY(auto lane, HostLinks::open());
        lanes.push_back(std::move(lane));
    }
    deleter_ = std::make_unique<Deleter>(
        io_, Deleter::Parts{parts_.store_worker, parts_.host.service(), std::move(lanes), journal_worker_, *log_},
        Deleter::Hooks{[this] { return std::set<std::string>(awaited_.begin(), awaited_.end()); },
                       [this](const Release& release, const std::string& problem) { on_del_settled(release, problem); },
                       [this] { try_again_for_room(); }, wall_now});
    for (const auto& [id, request] : log_->pending()) {
        attachments_.begin_del(request.attachment);
        attachments_.log_del({request.attachment, request.network});
        deleter_->add(id, request);
    }
    return {};
}

void CniServer::remove_abandoned() {
    journal_worker_.submit([directory = settings_.run_dir + "/wait"] {
        remove_abandoned_sockets(directory);
        return [] {};
    });
}

void CniServer::on_request(const boost::json::object& object, Reply reply) {
    auto request = decode_request(object);
    if (!request) {
        log::emit(kPluginRequestRefused, request.error().message);
        send(reply, failure(ErrorCode::cannot_decode, request.error().message));
        return;
    }
    switch (request->op) {
        case Op::add:
            on_add(*std::move(request), std::move(reply));
            return;
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

// --- ADD ------------------------------------------------------------------------------------------------------------

void CniServer::on_add(Request request, Reply reply) {
    awaited_.insert(request.host_interface);
    attachments_.begin_add({request.attachment, request.network});
    begin_journaled_del(request);
    auto add = std::make_shared<WaitingAdd>(WaitingAdd{std::move(request), std::move(reply)});
    if (attachments_.is_ending(add->request.attachment)) {
        held_.emplace(add->request.attachment, add);
        return;
    }
    adds_.push_back(std::move(add));
    run_adds();
}

void CniServer::run_adds() {
    if (adds_running_ || adds_.empty()) {
        return;
    }
    adds_running_ = true;
    parts_.store_worker.submit([this, adds = std::exchange(adds_, {})] {
        return [this, batch = commit_adds(adds)]() mutable { finish_adds(std::move(batch)); };
    });
}

CniServer::AddBatch CniServer::commit_adds(const std::vector<AddPtr>& adds) {
    AddBatch batch;
    std::vector<Request> requests;
    for (const AddPtr& add : adds) {
        const auto old = add->way_is_clear ? std::nullopt : parts_.host.predecessor_of(add->request);
        if (old && old->of_this_boot) {
            batch.blocked.emplace_back(add, *old);
        } else {
            batch.adds.push_back(add);
            requests.push_back(add->request);
        }
    }
    const auto asked_at = std::chrono::steady_clock::now();
    auto added = parts_.host.add(requests);
    for (const AddPtr& add : batch.adds) {
        if (add->former_handle && !parts_.host.service().owns_handle(*add->former_handle, add->request)) {
            add->former_handle.reset();
        }
    }
    parts_.metrics.commit_seconds.observe(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - asked_at).count());
    batch.results = std::move(added.results);
    batch.taken = std::move(added.taken);
    return batch;
}

void CniServer::finish_adds(AddBatch batch) {
    adds_running_ = false;
    parts_.committed(std::move(batch.taken));
    for (std::size_t i = 0; i < batch.adds.size(); ++i) {
        WaitingAdd& add = *batch.adds[i];
        const AddResult& result = batch.results[i];
        if (waits_for_room(batch.adds[i], result.answer)) {
            continue;
        }
        answer_add(add, result.answer);
        for (const auto& former : {result.replaced_handle, add.former_handle}) {
            if (former && !result.answer.error) {
                deleter_->add_aside(0, {}, *former);
            }
        }
    }
    for (const auto& [add, old] : batch.blocked) {
        clear_way(add, old);
    }
    run_adds();
}

/// An address that a DEL is about to free may be the one that is asked for, or the last of its pool: the runtime was
/// answered and takes it for free.
bool CniServer::waits_for_room(const AddPtr& add, const Answer& answer) {
    if (!answer.error || !answer.error->no_room || deleter_->waiting() == 0 || add->tries == kMostTries) {
        return false;
    }
    ++add->tries;
    without_room_.emplace(add->request.attachment, add);
    return true;
}

void CniServer::try_again_for_room() {
    for (auto& [attachment, add] : std::exchange(without_room_, {})) {
        adds_.push_back(std::move(add));
    }
    run_adds();
}

void CniServer::answer_add(WaitingAdd& add, const Answer& answer) {
    send(add.reply, answer);
    if (const auto at = awaited_.find(add.request.host_interface); at != awaited_.end()) {
        awaited_.erase(at);
    }
    attachments_.end_add({add.request.attachment, add.request.network}, !answer.error);
    (answer.error ? parts_.metrics.adds_failed : parts_.metrics.adds).add();
    if (answer.error) {
        log::emit(kAddFailed, add.request.attachment.container_id, add.request.attachment.ifname, add.request.network,
                  answer.error->msg);
    } else {
        log::emit(kAdded, answer.endpoint, answer.ips.empty() ? "" : answer.ips.front().to_string());
    }
}

void CniServer::refuse_waiting(const Attachment& attachment, const std::string& why) {
    for (auto* waiting : {&held_, &without_room_}) {
        const auto [first, last] = waiting->equal_range(attachment);
        for (auto at = first; at != last; ++at) {
            answer_add(*at->second, failure(ErrorCode::try_again, why));
        }
        waiting->erase(first, last);
    }
}

/// Puts aside the link of an older container that has the name which the ADD's link is to get.
void CniServer::clear_way(const AddPtr& add, const KnownAttachment& old) {
    parts_.link_worker.submit([this, add, old] {
        std::uint32_t aside = 0;
        Attachment of = old.attachment;  // whose link it is
        std::string problem;
        auto link = parts_.links.find(old.interface_name);
        if (!link) {
            problem = link.error().message;
        } else if (*link &&
                   may_put_aside(**link, old.attachment, add->request.attachment,
                                 parts_.host.identity().on_kubernetes || old.attachment.container_id.empty())) {
            aside = (*link)->index;
            of.container_id = (*link)->alias;
            if (auto renamed = parts_.links.put_aside(aside); !renamed) {
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

// --- CHECK, STATUS, GC ----------------------------------------------------------------------------------------------

void CniServer::on_question(Request request, Reply reply) {
    if (request.op == Op::check) {
        begin_journaled_del(request);
        if (attachments_.is_ending(request.attachment)) {
            Answer answer = failure(ErrorCode::unknown_container,
                                    fmt::format("container {} interface {} is being deleted",
                                                request.attachment.container_id, request.attachment.ifname));
            answer.ending = true;
            send(reply, answer);
            return;
        }
        if (attachments_.is_adding(request.attachment)) {
            send(reply, failure(ErrorCode::try_again,
                                fmt::format("container {} interface {} is being added", request.attachment.container_id,
                                            request.attachment.ifname)));
            return;
        }
    }
    auto shared = std::make_shared<Reply>(std::move(reply));
    parts_.store_worker.submit([this, request = std::move(request), shared] {
        return [shared, answer = parts_.host.answer(request)] { send(*shared, answer); };
    });
}

void CniServer::on_gc(const Request& request, Reply reply) {
    auto shared = std::make_shared<Reply>(std::move(reply));
    parts_.store_worker.submit([this, request, shared] {
        auto known = parts_.host.service().attachments();
        return [this, request, shared, known = std::move(known)] {
            if (!known) {
                Answer answer;
                answer.error = known.error();
                send(*shared, answer);
                return;
            }
            release_all_but(request, *known, [shared](const Answer& answer) { send(*shared, answer); });
        };
    });
}

/// Releases the network's attachments that the runtime does not know any more. Answers when the last of the DELs is
/// answered, with an error if one of them failed.
void CniServer::release_all_but(const Request& request, const std::vector<KnownAttachment>& known,
                                std::function<void(const Answer&)> answer) {
    const std::set<Attachment> valid(request.valid_attachments.begin(), request.valid_attachments.end());
    auto left = std::make_shared<std::size_t>(1);
    auto worst = std::make_shared<Answer>();
    const auto finish_one = [answer = std::move(answer), left, worst](const Answer& one) {
        if (one.error) {
            *worst = one;
        }
        if (--*left == 0) {
            answer(*worst);
        }
    };
    for (const KnownAttachment& one : known) {
        // What a runtime adds at this moment it cannot know of yet.
        if (one.network == request.network && !valid.contains(one.attachment) &&
            !attachments_.is_adding(one.attachment)) {
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
}

}  // namespace manul::ipam
