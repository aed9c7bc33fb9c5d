#include "test/sim/network.hpp"

#include <algorithm>
#include <stdexcept>

#include "base/overloaded.hpp"

namespace manul::sim {

using namespace speaker;

std::size_t Network::add(const std::string& name, const std::vector<std::string>& addresses) {
    auto node = std::make_unique<Node>();
    node->name = name;
    for (const std::string& address : addresses) {
        node->addresses.push_back(*net::InterfaceAddress::parse(address));
    }
    node->speaker = std::make_unique<Speaker>();
    nodes_.push_back(std::move(node));
    if (now_ == Time{}) {
        now_ += std::chrono::hours(1);
    }
    handle(nodes_.size() - 1, LocalAddresses{nodes_.back()->addresses});
    return nodes_.size() - 1;
}

void Network::configure(std::size_t node, Configuration configuration) {
    nodes_[node]->configuration = std::make_shared<const Configuration>(std::move(configuration));
    handle(node, Configure{nodes_[node]->configuration});
}

void Network::originate(std::size_t node, const std::vector<std::string>& blocks) {
    std::vector<LocalRoute> routes;
    for (const std::string& block : blocks) {
        routes.push_back({*net::Prefix::parse(block), !net::Prefix::parse(block)->is_host(), true});
    }
    nodes_[node]->routes = std::make_shared<const std::vector<LocalRoute>>(std::move(routes));
    handle(node, Originate{nodes_[node]->routes});
}

void Network::host_routes(std::size_t node, std::vector<HostRoute> routes) {
    handle(node, HostRoutes{std::make_shared<const std::vector<HostRoute>>(std::move(routes))});
}

void Network::command(std::size_t node, PeerCommand command) { handle(node, command); }

void Network::handle(std::size_t node, const Event& event) {
    const auto outcome = nodes_[node]->speaker->handle(event, now_);
    const std::vector<Action> actions(outcome.actions.begin(), outcome.actions.end());
    for (const Action& action : actions) {
        carry_out(node, action);
    }
}

void Network::settle() {
    for (int rounds = 0; rounds < 100'000; ++rounds) {
        bool any = false;
        for (std::size_t i = 0; i < nodes_.size(); ++i) {
            Node& node = *nodes_[i];
            if (node.inbox.empty() && !node.speaker->busy()) {
                continue;
            }
            any = true;
            for (std::size_t count = node.inbox.size(); count > 0; --count) {
                const auto event = std::move(node.inbox.front());
                node.inbox.pop_front();
                event();
            }
            handle(i, TurnEnd{});
        }
        if (!any) {
            return;
        }
    }
    throw std::runtime_error("the network does not settle");
}

void Network::advance(std::chrono::seconds duration) {
    const Time target = now_ + duration;
    settle();
    while (true) {
        std::optional<Time> next;
        for (const auto& node : nodes_) {
            const auto deadline = node->speaker->next_deadline();
            if (deadline && (!next || *deadline < *next)) {
                next = deadline;
            }
        }
        if (!next || *next > target) {
            now_ = target;
            return;
        }
        now_ = std::max(now_, *next);
        for (std::size_t i = 0; i < nodes_.size(); ++i) {
            const auto deadline = nodes_[i]->speaker->next_deadline();
            if (deadline && *deadline <= now_) {
                handle(i, Tick{});
            }
        }
        settle();
    }
}

void Network::cut(std::size_t a, std::size_t b) {
    cut_.insert({std::min(a, b), std::max(a, b)});
    for (const auto& [node, other] : {std::pair{a, b}, std::pair{b, a}}) {
        std::vector<ConnectionId> lost;
        for (const auto& [id, pipe] : nodes_[node]->pipes) {
            if (pipe.peer_node == other) {
                lost.push_back(id);
            }
        }
        for (const ConnectionId id : lost) {
            nodes_[node]->pipes.erase(id);
            nodes_[node]->inbox.emplace_back([this, end = node, id] { handle(end, Closed{id, "link cut"}); });
        }
    }
}

void Network::silence(std::size_t a, std::size_t b) { silent_.insert({std::min(a, b), std::max(a, b)}); }

void Network::join(std::size_t a, std::size_t b) {
    cut_.erase({std::min(a, b), std::max(a, b)});
    silent_.erase({std::min(a, b), std::max(a, b)});
}

void Network::kill(std::size_t node) {
    Node& self = *nodes_[node];
    self.leftover = kernel(node);
    while (!self.pipes.empty()) {
        close(node, self.pipes.begin()->first, "process ended");
    }
    self.inbox.clear();
    self.speaker = std::make_unique<Speaker>();
    self.expected.clear();
    self.ranges.clear();
    self.tracked.clear();
    self.fib.clear();
    self.groups.clear();
    self.fib_complete = false;
    self.listening = false;
    self.running = false;
}

void Network::terminate(std::size_t node) {
    handle(node, Finish{});
    settle();
    kill(node);
}

void Network::start(std::size_t node) {
    Node& self = *nodes_[node];
    self.running = true;
    self.in_kernel = {};
    report_kernel(node);
    handle(node, LocalAddresses{self.addresses});
    handle(node, Configure{self.configuration});
    if (self.routes) {
        handle(node, Originate{self.routes});
    }
}

void Network::reboot(std::size_t node) {
    kill(node);
    nodes_[node]->leftover.clear();
    start(node);
}

void Network::bfd(std::size_t node, const std::string& peer, bool up) {
    handle(node, BfdChanged{*net::Ip::parse(peer), up});
}

void Network::report_kernel(std::size_t node) {
    Node& self = *nodes_[node];
    bgp::wire::FamilySet families;
    for (const auto& [prefix, way] : kernel(node)) {
        families.add(net::Prefix::parse(prefix)->family());
    }
    if (families != self.in_kernel) {
        self.in_kernel = families;
        handle(node, KernelRoutes{families});
    }
}

void Network::resolve(std::size_t node, const std::string& next_hop, std::optional<std::uint32_t> metric) {
    const net::Ip ip = *net::Ip::parse(next_hop);
    nodes_[node]->metrics[ip] = metric;
    if (nodes_[node]->tracked.contains(ip)) {
        answer(node, ip);
    }
}

void Network::answer(std::size_t node, const net::Ip& next_hop) {
    const auto known = nodes_[node]->metrics.find(next_hop);
    const std::optional<std::uint32_t> metric = known == nodes_[node]->metrics.end() ? 0 : known->second;
    NextHopChanged event{next_hop, std::nullopt};
    if (metric) {
        event.resolution = Resolution{1, std::nullopt, *metric};
    }
    handle(node, event);
}

std::optional<std::size_t> Network::owner(const net::Ip& address) const {
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
        if (std::ranges::any_of(nodes_[i]->addresses, [&](const auto& own) { return own.address == address; })) {
            return i;
        }
    }
    return std::nullopt;
}

void Network::carry_out(std::size_t node, const Action& action) {
    Node& self = *nodes_[node];
    std::visit(
        overloaded{
            [&](const Write& request) { write(node, request); },
            [&](const Connect& request) { connect(node, request); },
            [&](const Close& request) { close(node, request.connection, "closed by the peer"); },
            [&](const FibBatch& batch) {
                for (const FibChange& change : *batch.changes) {
                    self.leftover.erase(change.prefix.to_string());
                    if (change.group == kNoRoute) {
                        self.fib.erase(change.prefix);
                    } else {
                        self.fib[change.prefix] = change.group;
                    }
                }
                if (on_kernel) {
                    on_kernel();
                }
                self.inbox.emplace_back([this, node] { report_kernel(node); });
            },
            [&](const FibGroup& group) {
                if (group.members.empty()) {
                    for (const auto& [prefix, used] : self.fib) {
                        if (used == group.group) {
                            throw std::runtime_error("a group goes away that " + prefix.to_string() + " uses");
                        }
                    }
                    self.groups.erase(group.group);
                } else {
                    self.groups[group.group] = group.members;
                }
            },
            [&](const FibComplete&) {
                if (self.fib_complete) {
                    throw std::runtime_error("FibComplete twice");
                }
                self.fib_complete = true;
                self.leftover.clear();
                if (on_kernel) {
                    on_kernel();
                }
            },
            [&](const TrackNextHop& request) {
                if (!request.wanted) {
                    self.tracked.erase(request.next_hop);
                    return;
                }
                self.tracked.insert(request.next_hop);
                answer(node, request.next_hop);
            },
            [&](const Listen&) { self.listening = true; },
            [&](const ExpectPeer& peer) { self.expected.insert(peer.address); },
            [&](const ForgetPeer& peer) { self.expected.erase(peer.address); },
            [&](const ExpectRange& range) { self.ranges.insert(range.range); },
            [&](const ForgetRange& range) { self.ranges.erase(range.range); },
            [&](const PeerChanged& change) {
                self.reports.push_back(change.status->address.to_string() + " " +
                                       bgp::fsm::to_string(change.status->state) + (change.removed ? " removed" : "") +
                                       (change.status->last_error.empty() ? "" : ": " + change.status->last_error));
            },
            [](const SetBfdSessions&) {},
            [](const Monitored&) {},
            [&](const ManyPrefixes& many) {
                self.reports.push_back(many.peer.to_string() + " announced " + std::to_string(many.received) + " of " +
                                       std::to_string(many.most));
            },
        },
        action);
}

void Network::connect(std::size_t node, const Connect& request) {
    const auto target = owner(request.remote.address);
    Endpoint local{request.local.value_or(net::Ip{}), 40000};
    if (!request.local) {
        for (const auto& address : nodes_[node]->addresses) {
            if (address.address.family() == request.remote.address.family()) {
                local.address = address.address;
                break;
            }
        }
    }
    const bool reachable = target && *target != node && !is_cut(node, *target) && nodes_[*target]->listening &&
                           nodes_[*target]->welcomes(local.address);
    if (!reachable) {
        nodes_[node]->inbox.emplace_back(
            [this, node, id = request.connection] { handle(node, Closed{id, "connection refused"}); });
        return;
    }
    const ConnectionId mine = request.connection;
    const ConnectionId theirs(nodes_[*target]->next_accepted++);
    nodes_[node]->pipes[mine] = {*target, theirs, {}, {}};
    nodes_[*target]->pipes[theirs] = {node, mine, {}, {}};
    nodes_[node]->inbox.emplace_back([this, node, mine, local] {
        if (nodes_[node]->pipes.contains(mine)) {
            handle(node, Connected{mine, local});
        }
    });
    nodes_[*target]->inbox.emplace_back([this, target = *target, theirs, local, remote = request.remote] {
        if (nodes_[target]->pipes.contains(theirs)) {
            handle(target, Accepted{theirs, remote, local});
        }
    });
}

void Network::write(std::size_t node, const Write& request) {
    const auto pipe = nodes_[node]->pipes.find(request.connection);
    if (pipe == nodes_[node]->pipes.end()) {
        return;
    }
    std::vector<ByteView> spans;
    request.chunk->append_spans(request.reader, spans);
    for (const ByteView span : spans) {
        pipe->second.waiting.insert(pipe->second.waiting.end(), span.begin(), span.end());
        Bytes& captured = captured_[{node, pipe->second.peer_node}];
        captured.insert(captured.end(), span.begin(), span.end());
    }
    transmit(node, request.connection);
}

/// Moves bytes towards the reader as far as the window goes and reports what is left.
void Network::transmit(std::size_t node, ConnectionId connection) {
    Pipe& pipe = nodes_[node]->pipes[connection];
    Bytes& waiting = pipe.waiting;
    const std::size_t count = std::min(waiting.size(), nodes_[pipe.peer_node]->window);
    if (count > 0) {
        Bytes data(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(count));
        waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(count));
        if (!is_silent(node, pipe.peer_node)) {
            nodes_[pipe.peer_node]->inbox.emplace_back([this, to = pipe.peer_node, id = pipe.peer_connection,
                                                        bytes = std::move(data)] { deliver(to, id, bytes); });
        }
    }
    if (nodes_[pipe.peer_node]->window != SIZE_MAX) {
        nodes_[node]->inbox.emplace_back([this, node, connection] {
            const auto at = nodes_[node]->pipes.find(connection);
            if (at != nodes_[node]->pipes.end()) {
                const std::size_t times = nodes_[at->second.peer_node]->exaggeration;
                handle(node, Backlog{connection, at->second.waiting.size() * times});
            }
        });
    }
}

void Network::drain(std::size_t node) {
    for (const auto& [id, pipe] : nodes_[node]->pipes) {
        transmit(pipe.peer_node, pipe.peer_connection);
    }
}

void Network::deliver(std::size_t node, ConnectionId connection, ByteView data) {
    const auto pipe = nodes_[node]->pipes.find(connection);
    if (pipe == nodes_[node]->pipes.end()) {
        return;
    }
    Bytes& unread = pipe->second.unread;
    unread.insert(unread.end(), data.begin(), data.end());
    const Bytes offered = unread;
    const auto outcome = nodes_[node]->speaker->handle(Received{connection, offered}, now_);
    const std::vector<Action> actions(outcome.actions.begin(), outcome.actions.end());
    if (outcome.consumed > offered.size()) {
        throw std::runtime_error("more consumed than offered");
    }
    unread.erase(unread.begin(), unread.begin() + static_cast<std::ptrdiff_t>(outcome.consumed));
    for (const Action& action : actions) {
        carry_out(node, action);
    }
}

void Network::close(std::size_t node, ConnectionId connection, const std::string& reason) {
    const auto pipe = nodes_[node]->pipes.find(connection);
    if (pipe == nodes_[node]->pipes.end()) {
        return;
    }
    const auto [peer, peer_connection, unread, waiting] = pipe->second;
    nodes_[node]->pipes.erase(pipe);
    nodes_[peer]->inbox.emplace_back([this, end = peer, id = peer_connection, reason] {
        if (nodes_[end]->pipes.erase(id) > 0) {
            handle(end, Closed{id, reason});
        }
    });
}

bool Network::established(std::size_t node, const std::string& peer) const {
    const net::Ip address = *net::Ip::parse(peer);
    return std::ranges::any_of(nodes_[node]->speaker->peers(), [&](const PeerStatus& status) {
        return status.address == address && status.state == SessionState::established;
    });
}

std::size_t Network::sessions(std::size_t node) const {
    return static_cast<std::size_t>(std::ranges::count_if(nodes_[node]->speaker->peers(), [](const PeerStatus& status) {
        return status.state == SessionState::established;
    }));
}

std::map<std::string, std::string> Network::kernel(std::size_t node) const {
    std::map<std::string, std::string> out = nodes_[node]->leftover;
    for (const auto& [prefix, group] : nodes_[node]->fib) {
        std::string& text = out[prefix.to_string()];
        text.clear();
        if (group == kBlackhole) {
            text = "blackhole";
            continue;
        }
        for (const FibMember& member : nodes_[node]->groups.at(group)) {
            text += (text.empty() ? "" : " ") + member.next_hop.to_string();
        }
    }
    return out;
}

std::map<std::string, std::string> Network::best(std::size_t node) const {
    std::map<std::string, std::string> out;
    for (const char* all : {"0.0.0.0/0", "::/0"}) {
        for (const net::Prefix& prefix : nodes_[node]->speaker->prefixes(*net::Prefix::parse(all), SIZE_MAX)) {
            for (const RouteView& route : nodes_[node]->speaker->paths(prefix)) {
                if (route.best) {
                    out[prefix.to_string()] = route.peer
                                                  ? route.peer->to_string() + " via " + route.next_hop->to_string() +
                                                        (route.as_path.empty() ? "" : " " + route.as_path)
                                                  : "local";
                }
            }
        }
    }
    return out;
}

std::vector<std::string> Network::paths(std::size_t node) const {
    std::vector<std::string> out;
    for (const char* all : {"0.0.0.0/0", "::/0"}) {
        for (const net::Prefix& prefix : nodes_[node]->speaker->prefixes(*net::Prefix::parse(all), SIZE_MAX)) {
            for (const RouteView& route : nodes_[node]->speaker->paths(prefix)) {
                std::string line = prefix.to_string() + " " + (route.peer ? route.peer->to_string() : "local") + " " +
                                   (route.next_hop ? route.next_hop->to_string() : "-") + " [" + route.as_path +
                                   "] med " + (route.med ? std::to_string(*route.med) : "-") + " pref " +
                                   (route.local_preference ? std::to_string(*route.local_preference) : "-");
                for (const std::string& community : route.communities) {
                    line += " " + community;
                }
                out.push_back(line + " " + route.verdict);
            }
        }
    }
    std::ranges::sort(out);
    return out;
}

std::size_t Network::updates_received(std::size_t node) const {
    std::size_t total = 0;
    for (const PeerStatus& status : nodes_[node]->speaker->peers()) {
        total += status.updates_in;
    }
    return total;
}

Configuration make_configuration(const std::string& name, std::uint32_t as, const std::string& address,
                                 const std::vector<std::string>& pools) {
    Configuration configuration;
    configuration.self.node_name = name;
    configuration.self.as = *net::Asn::make(as);
    const auto interface = *net::InterfaceAddress::parse(address);
    if (interface.address.is_v4()) {
        configuration.self.v4 = interface;
        configuration.self.router_id = *net::RouterId::make(interface.address.v4().value());
    } else {
        configuration.self.v6 = interface;
        configuration.self.router_id =
            *net::RouterId::make(static_cast<std::uint32_t>(std::hash<net::Ip>{}(interface.address)) | 1U);
    }
    for (const std::string& pool : pools) {
        configuration.relayable.push_back(*net::Prefix::parse(pool));
    }
    return configuration;
}

PeerConfig make_peer(const std::string& address, std::uint32_t remote_as, std::uint32_t local_as) {
    PeerConfig peer;
    peer.name = "test";
    peer.address = *net::Ip::parse(address);
    peer.remote_as = *net::Asn::make(remote_as);
    peer.local_as = *net::Asn::make(local_as);
    peer.v4 = peer.address.is_v4();
    peer.v6 = peer.address.is_v6();
    return peer;
}

}  // namespace manul::sim
