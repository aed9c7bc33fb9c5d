#include "ipam/io/deleter.hpp"

#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "base/try.hpp"
#include "ipam/core/names.hpp"
#include "ipam/messages.hpp"

namespace manul::ipam {

Deleter::Deleter(boost::asio::io_context& io, Parts parts, Hooks hooks)
    : parts_(std::move(parts)), hooks_(std::move(hooks)), timer_(io, [this] { run(); }) {
    for (HostLinks& links : parts_.links) {
        lanes_.push_back(std::make_unique<Lane>(io, std::move(links)));
    }
}

void Deleter::add(std::uint64_t id, const Request& request) {
    Item item;
    item.log_id = id;
    item.deletion = {{request.network, request.attachment}, request.host_interface};
    enqueue(std::move(item));
}

void Deleter::try_once(const Request& request, std::function<void(const std::string& problem)> done) {
    Item item;
    item.done_once = std::move(done);
    item.deletion = {{request.network, request.attachment}, request.host_interface};
    enqueue(std::move(item));
}

void Deleter::add_aside(std::uint32_t index, std::string container_id, std::string handle) {
    if (!busy_.insert(handle).second) {
        return;  // waits for its link already
    }
    Item item;
    item.deletion.release.attachment.container_id = std::move(container_id);
    item.aside_index = index;
    item.aside_handle = std::move(handle);
    enqueue(std::move(item));
}

void Deleter::enqueue(Item item) {
    queue_.push_back(std::move(item));
    run_soon(kGatherUs);
}

/// The lane that becomes free asks again.
void Deleter::run_soon(std::int64_t delay_us) {
    const bool some_free = std::ranges::any_of(lanes_, [](const auto& lane) { return !lane->busy; });
    if (some_free && !queue_.empty() && !timer_.armed()) {
        timer_.after_us(delay_us);
    }
}

std::set<std::string> Deleter::busy_handles() const { return busy_; }

void Deleter::run() {
    const auto at = std::ranges::find_if(lanes_, [](const auto& lane) { return !lane->busy; });
    if (at == lanes_.end() || queue_.empty()) {
        return;
    }
    Lane& lane = **at;
    lane.busy = true;
    auto batch = std::make_shared<Batch>();
    batch->items = std::exchange(queue_, {});
    batch->claims.awaited = hooks_.awaited();
    under_way_ += batch->items.size();
    parts_.store_worker.submit([this, batch, &lane] {
        look_up(*batch);
        return [this, batch, &lane] {
            lane.worker.submit([this, batch, &lane] {
                delete_links(*batch, lane.links);
                return [this, batch, &lane] {
                    lane.busy = false;
                    run_soon(kGatherUs);
                    parts_.store_worker.submit([this, batch] {
                        free_addresses(*batch);
                        return [this, batch] { finish(batch); };
                    });
                };
            });
        };
    });
}

void Deleter::look_up(Batch& batch) {
    for (Item& item : batch.items) {
        const auto known = parts_.service.find(item.deletion.release.attachment);
        const std::string& network = item.deletion.release.network;
        if (known && *known && (network.empty() || (*known)->network.empty() || network == (*known)->network)) {
            item.deletion.known = true;
            item.deletion.interface_name = (*known)->interface_name;
            item.deletion.policy_only = (*known)->policy_only;
        }
        batch.search = batch.search || (!item.deletion.known && !item.aside_handle);
    }
    if (!batch.search) {
        return;
    }
    const auto attachments = parts_.service.attachments();
    if (!attachments) {
        batch.problem = attachments.error().msg;
        return;
    }
    for (const KnownAttachment& known : *attachments) {
        batch.claims.owned.insert(known.interface_name);
    }
}

/// The links among which those of the batch are: on a node with thousands of pods a few look-ups are far less than the
/// list, which only a container that nobody knows needs.
Result<std::vector<netlink::Link>> Deleter::candidates(const Batch& batch, HostLinks& links) {
    if (batch.search) {
        return links.list();
    }
    std::vector<netlink::Link> found;
    for (const Item& item : batch.items) {
        if (item.aside_handle && item.aside_index == 0) {  // that link is gone already: only addresses are to be freed
            continue;
        }
        MANUL_TRY(auto link,
                  item.aside_handle ? links.find(item.aside_index) : links.find(item.deletion.interface_name));
        if (link) {
            found.push_back(*std::move(link));
        }
    }
    return found;
}

void Deleter::delete_links(Batch& batch, HostLinks& links) {
    if (!batch.problem.empty()) {
        return;
    }
    const auto before = candidates(batch, links);
    if (!before) {
        batch.problem = before.error().message;
        return;
    }
    std::vector<std::uint32_t> doomed;
    std::vector<std::vector<std::uint32_t>> wanted(batch.items.size());
    for (std::size_t i = 0; i < batch.items.size(); ++i) {
        const Item& item = batch.items[i];
        if (item.aside_handle) {
            const bool there = std::ranges::any_of(*before, [&](const netlink::Link& link) {
                return link.index == item.aside_index && link.alias == item.deletion.release.attachment.container_id;
            });
            if (there) {
                wanted[i].push_back(item.aside_index);
            }
        } else {
            for (const netlink::Link& link : links_of(item.deletion, *before, batch.claims)) {
                wanted[i].push_back(link.index);
            }
        }
        doomed.insert(doomed.end(), wanted[i].begin(), wanted[i].end());
    }
    std::set<std::uint32_t> left;
    if (!doomed.empty()) {
        if (auto removed = links.remove(doomed); !removed) {
            batch.problem = std::move(removed.error().message);
        }
        for (const std::uint32_t index : doomed) {
            const auto stays = links.exists(index);
            if (!stays) {
                batch.problem = stays.error().message;
                return;
            }
            if (*stays) {
                left.insert(index);
            }
        }
    }
    for (std::size_t i = 0; i < batch.items.size(); ++i) {
        Item& item = batch.items[i];
        item.links_gone = std::ranges::none_of(wanted[i], [&](std::uint32_t index) { return left.contains(index); });
        if (!item.links_gone) {
            log::emit(kLinkStays, wanted[i].front(), item.deletion.release.attachment.container_id);
        }
    }
}

void Deleter::free_addresses(Batch& batch) {
    std::vector<Release> releases;
    std::vector<std::string> handles;
    std::vector<Item*> released;
    std::vector<Item*> freed;
    for (Item& item : batch.items) {
        if (!item.links_gone) {
            continue;
        }
        if (item.aside_handle) {
            handles.push_back(*item.aside_handle);
            freed.push_back(&item);
        } else {
            releases.push_back(item.deletion.release);
            released.push_back(&item);
        }
    }
    const auto settle = [&](const std::vector<Outcome<bool>>& results, const std::vector<Item*>& items) {
        for (std::size_t i = 0; i < items.size(); ++i) {
            items[i]->done = results[i].has_value();
            if (!results[i]) {
                batch.problem = results[i].error().msg;
            } else if (*results[i]) {
                const Attachment& attachment = items[i]->deletion.release.attachment;
                log::emit(kReleased, attachment.container_id, attachment.ifname);
            }
        }
    };
    settle(parts_.service.release(releases, hooks_.now()), released);
    settle(parts_.service.release_handles(handles, hooks_.now()), freed);
}

void Deleter::finish(const BatchPtr& batch) {
    under_way_ -= batch->items.size();
    std::vector<std::uint64_t> done;
    std::vector<Release> settled;
    std::size_t failed = 0;
    for (Item& item : batch->items) {
        const std::string problem = item.done                ? std::string()
                                    : batch->problem.empty() ? "its link could not be deleted"
                                                             : batch->problem;
        if (item.done_once) {
            item.done_once(problem);
        } else if (!item.done) {
            if (item.log_id) {
                hooks_.settled(item.deletion.release, problem);
            }
            item.deletion.known = false;
            item.deletion.policy_only = false;
            item.links_gone = false;
            queue_.push_back(std::move(item));
            ++failed;
        } else if (item.log_id) {
            done.push_back(*item.log_id);
            settled.push_back(item.deletion.release);
        } else if (item.aside_handle) {
            busy_.erase(*item.aside_handle);
        }
    }
    if (!done.empty()) {
        // Settled when it is in the log: an ADD of the same id may be answered from then on, and a restart must not
        // take its DEL for a later one.
        parts_.journal_worker.submit([this, done = std::move(done), settled = std::move(settled)] {
            parts_.log.done(done);
            return [this, settled] {
                for (const Release& release : settled) {
                    hooks_.settled(release, {});
                }
            };
        });
    }
    if (failed > 0 && batch->problem != last_problem_) {
        log::emit(kReleaseDelayed, failed, batch->problem);
    }
    last_problem_ = failed > 0 ? batch->problem : std::string{};
    run_soon(failed > 0 ? kRetryUs : kGatherUs);
    hooks_.tried();
}

}  // namespace manul::ipam
