#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/log.hpp"
#include "ipam/io/cni_server.hpp"
#include "ipam/messages.hpp"

// DELs, from the plugin and from the files that it left: into the log, and from there to the Deleter.

namespace manul::ipam {

namespace {

constexpr std::int64_t kJournalUs = 5'000'000;

}  // namespace

// A DEL that has something to do is flushed to the log before it is answered. Runtimes send most of them twice, and the
// second one should cost nothing.
void CniServer::on_del(Request request, Reply reply) {
    const auto answer = [shared = std::make_shared<Reply>(std::move(reply))](const Answer& it) {
        (*shared)(to_json(it));
    };
    const NetworkAttachment of{request.attachment, request.network};
    if (attachments_.is_of_another_network(of)) {
        answer({});
        return;
    }
    refuse_waiting(request.attachment, "a DEL of this container came while its ADD waited");
    // One that was carried out, or is being, may have come before its ADD was over, and found no link yet.
    if (attachments_.is_logged(of)) {
        attachments_.repeat_del(of, std::move(request));
        answer({});
        return;
    }
    if (attachments_.has_ended(of) && !link_may_exist(request.host_interface)) {
        answer({});
        return;
    }
    if (attachments_.is_known(request.attachment)) {
        enqueue_del({std::move(request), answer, {}});
        log_dels();
        return;
    }
    look_up_del(std::move(request), answer);
}

/// A DEL of an attachment that this run has seen no ADD of.
void CniServer::look_up_del(Request request, std::function<void(const Answer&)> answer) {
    attachments_.begin_del(request.attachment);  // an ADD that comes now is a later one
    parts_.store_worker.submit([this, request = std::move(request), answer = std::move(answer)]() mutable {
        const bool anything = parts_.host.has_anything_of(request);
        return [this, request = std::move(request), answer = std::move(answer), anything]() mutable {
            const Release of{request.network, request.attachment, {}};
            if (anything) {
                enqueue_del({std::move(request), std::move(answer), {}});
                log_dels();
            } else {
                answer({});
            }
            on_del_settled(of, {});  // this question is; the DEL itself, if there is one, counts on its own
        };
    });
}

/// A DEL from when this daemon was away ended what was before the request.
void CniServer::begin_journaled_del(const Request& request) {
    if (auto earlier = find_journal_file(journal_directory(), request)) {
        enqueue_del({std::move(earlier->request), nullptr, std::move(earlier->path)});
        log_dels();
    }
}

void CniServer::read_journal() {
    journal_worker_.submit([this] {
        return [this, scan = scan_journal(journal_directory())] {
            for (const std::string& refused : scan.refused) {
                log::emit(kJournalRefused, refused);
            }
            for (const JournalFile& file : scan.files) {
                enqueue_del({file.request, nullptr, file.path});
            }
            log_dels();
            journal_timer_.after_us(kJournalUs);
        };
    });
}

void CniServer::enqueue_del(WaitingDel del) {
    attachments_.begin_del(del.request.attachment);
    dels_.push_back(std::move(del));
}

void CniServer::log_dels() {
    if (dels_running_ || dels_.empty()) {
        return;
    }
    dels_running_ = true;
    auto batch = std::make_shared<const std::vector<WaitingDel>>(std::exchange(dels_, {}));
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
            finish_logging(*batch, ids);
            log_dels();
        };
    });
}

void CniServer::finish_logging(const std::vector<WaitingDel>& dels, const Result<std::vector<std::uint64_t>>& ids) {
    if (!ids) {
        log::emit(kJournalFailed, ids.error().message);
    }
    for (std::size_t i = 0; i < dels.size(); ++i) {
        const WaitingDel& del = dels[i];
        if (!ids) {
            carry_out_unlogged(del, ids.error().message);
            continue;
        }
        attachments_.log_del({del.request.attachment, del.request.network});
        deleter_->add((*ids)[i], del.request);
        if (del.answer) {
            del.answer({});
        }
    }
}

/// What the disk has no room for need not be remembered where it can be done before it is answered.
void CniServer::carry_out_unlogged(const WaitingDel& del, const std::string& why) {
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

void CniServer::on_del_settled(const Release& release, const std::string& problem) {
    const Attachment& attachment = release.attachment;
    (problem.empty() ? parts_.metrics.dels : parts_.metrics.dels_delayed).add();
    if (!problem.empty()) {
        refuse_waiting(attachment, "the DEL of this container is not carried out yet: " + problem);
        return;
    }
    auto repeated = attachments_.settle_del({attachment, release.network});
    if (attachments_.is_ending(attachment)) {
        return;
    }
    for (Request& again : repeated) {
        if (link_may_exist(again.host_interface)) {
            enqueue_del({std::move(again), nullptr, {}});
        }
    }
    log_dels();
    if (attachments_.is_ending(attachment)) {
        return;
    }
    const auto [first, last] = held_.equal_range(attachment);
    for (auto at = first; at != last; ++at) {
        adds_.push_back(at->second);
    }
    held_.erase(first, last);
    run_adds();
}

}  // namespace manul::ipam
