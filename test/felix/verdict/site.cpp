#include "test/felix/verdict/site.hpp"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>
#include <variant>

#include <catch2/catch.hpp>

#include "base/overloaded.hpp"
#include "config/codec/json.hpp"
#include "config/codec/yaml.hpp"
#include "config/store_in_force.hpp"
#include "test/felix/builders.hpp"

namespace manul::felix::test {

namespace {

constexpr const char* kStray = "stray";
constexpr const char* kSide = "side";
constexpr const char* kSideInterface = "side0";

std::string joined(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) {
        text += line + "\n";
    }
    return text;
}

model::WorkloadEndpointPort port_of(std::string name, std::uint16_t number, net::Protocol protocol) {
    return port(std::move(name), number, protocol);
}

struct Pod {
    PodSpec spec;
    bool local = true;
};

std::vector<Pod> pods() {
    const std::string k8s = "projectcalico.org/orchestrator";
    std::vector<Pod> list;
    const auto add = [&](const std::string& ns, const std::string& name, model::StringMap labels,
                         const std::string& account_name, std::vector<model::WorkloadEndpointPort> ports, int number) {
        labels[k8s] = "k8s";
        PodSpec spec;
        spec.ns = ns;
        spec.name = name;
        spec.ips = {"10.65.0." + std::to_string(number) + "/32", "fd65::" + std::to_string(number) + "/128"};
        spec.labels = std::move(labels);
        spec.account = account_name;
        spec.ports = std::move(ports);
        spec.interface = "cali" + name;
        list.push_back({std::move(spec), true});
    };
    add("red", "rw", {{"app", "web"}}, "front", {port_of("http", 8080, net::kTcp), port_of("metrics", 9100, net::kTcp)},
        1);
    add("red", "rd", {{"app", "db"}}, "back",
        {port_of("http", 80, net::kTcp), port_of("dns", 53, net::kUdp), port_of("signal", 5060, net::kSctp)}, 2);
    add("green", "gw", {{"app", "web"}, {"zone", "a"}}, "default", {port_of("http", 8888, net::kTcp)}, 3);
    add("green", "ga", {{"app", "api"}, {"zone", "b"}}, "front",
        {port_of("http", 80, net::kUdp), port_of("metrics", 9100, net::kTcp)}, 4);
    add("blue", "bd", {{"app", "db"}}, "default", {port_of("http", 80, net::kTcp), port_of("dns", 5353, net::kUdp)}, 5);
    add("blue", "bx", {}, "default", {}, 6);
    add("red", "rr", {{"app", "web"}}, "front", {port_of("http", 8080, net::kTcp)}, 200);
    list.back().local = false;
    list.back().spec.node = "node2";
    return list;
}

std::vector<model::ResourcePtr> others() {
    auto router = std::make_shared<model::HostEndpoint>();
    router->metadata.name = "router";
    router->metadata.labels = {{"role", "router"}};
    router->spec.node = "node2";
    router->spec.interface_name = "eth0";
    router->spec.expected_ips = {ip("203.0.113.5"), ip("2001:db8:5::5")};
    return {
        namespace_("red", {{"team", "red"}, {"env", "prod"}}),
        namespace_("green", {{"team", "green"}, {"env", "prod"}}),
        namespace_("blue", {{"team", "blue"}, {"env", "test"}}),
        account("red", "front", {{"role", "front"}}),
        account("red", "back", {{"role", "back"}}),
        account("green", "front", {{"role", "api"}}),
        account("green", "default"),
        account("blue", "default"),
        network_set("", "partners", {"192.0.2.0/25", "2001:db8:1::/64"}, {{"kind", "partner"}}),
        network_set("red", "suppliers", {"198.51.100.7/32", "2001:db8:3::7/128"}, {{"kind", "supplier"}}),
        router,
    };
}

std::string step_text(const TierStep& step) {
    static constexpr std::array kOutcomes{"allowed", "denied", "passed", "end denied", "end passed"};
    std::string text = " tier " + step.tier + ":";
    for (const PolicyStep& policy : step.policies) {
        text += " " + policy.id.to_string();
        for (const RuleStep& rule : policy.rules) {
            text += (rule.matched ? "[+" : "[-") + std::to_string(rule.index) + "]";
        }
    }
    return text + " " + kOutcomes[static_cast<std::size_t>(step.outcome)] + ";";
}

std::string trace_text(const Evaluation& evaluation) {
    std::string text;
    for (const TierStep& step : evaluation.tiers) {
        text += step_text(step);
    }
    for (const ProfileStep& profile : evaluation.profiles) {
        text += " profile " + profile.name + (profile.exists ? ";" : " (missing);");
    }
    static constexpr std::array kVerdicts{" allow.", " deny.", " no verdict."};
    return text + kVerdicts[static_cast<std::size_t>(evaluation.verdict)];
}

std::string step_text(const JourneyStep& step) {
    static constexpr std::array kWhere{"host",   "workload",     "unknown workload", "encapsulation",
                                       "tunnel", "service loop", "endpoint to host"};
    std::string text = kWhere[static_cast<std::size_t>(step.where)];
    if (step.where == JourneyStep::Where::host) {
        text += " " + std::string(to_string(step.stage));
    }
    return text + " " + step.endpoint.name + " " + std::string(to_string(step.direction)) + ":" +
           trace_text(step.evaluation);
}

}  // namespace

std::string_view to_string(Fate fate) noexcept {
    static constexpr std::array<std::string_view, 3> kNames{"allow", "deny", "reject"};
    return kNames[static_cast<std::size_t>(fate)];
}

// --- the process ----------------------------------------------------------------------------------------------------

Site::Process::Process(boost::asio::io_context& io, const std::string& run_dir, std::unique_ptr<store::Store> store,
                       render::DispatchLimits limits)
    : graph({kNode, {}}) {
    auto opened = io::Dataplane::open(io, {.run_dir = run_dir, .dispatch = limits});
    if (!opened) {
        FAIL(opened.error().message);
    }
    dataplane = *std::move(opened);
    if (const auto started = dataplane->start(); !started) {
        FAIL(started.error().message);
    }
    datastore =
        std::make_unique<io::Datastore>(io, std::move(store), config::StoreInForce(run_dir + "/store-in-force", false),
                                        [this](const io::StoreChanges& changes) {
                                            for (const Event& event : changes.events) {
                                                graph.handle(event);
                                            }
                                            flush();
                                            ++rounds;
                                        });
    dataplane->on_interfaces([this](const InterfaceAddresses& now) {
        interfaces = now;
        graph.handle(interfaces);
        flush();
    });
    datastore->start();
}

void Site::Process::flush() {
    const Batch batch = graph.flush();
    for (const Update& update : batch) {
        snapshot.apply(update);
    }
    dataplane->apply(batch);
}

Site& Site::instance() {
    static Site site;
    return site;
}

std::vector<Place> Site::places() {
    std::vector<Place> list;
    for (const Pod& pod : pods()) {
        if (pod.local) {
            list.push_back({pod.spec.name, pod.spec.interface, {}});
            for (const std::string& text : pod.spec.ips) {
                list.back().addresses.push_back(cidr(text).address());
            }
        }
    }
    list.push_back({kStray, "calistray", {ip("10.65.0.99"), ip("fd65::99")}});
    list.push_back({kSide, kSideInterface, {ip("10.98.0.9"), ip("fd98::9")}});
    return list;
}

Site::Site()
    : lab_(places()),
      run_dir_("/tmp/manul-verdict-" + std::to_string(::getpid())),
      database_(store::make_memory_database()),
      store_(store::make_memory(database_)) {
    std::vector<model::ResourcePtr> resources = others();
    for (const Pod& pod : pods()) {
        const model::ResourcePtr endpoint = test::pod(pod.spec);
        resources.push_back(endpoint);
        add_party(pod.spec.name, pod.local ? pod.spec.name : Lab::kOutside,
                  pod.local ? pod.spec.interface : Lab::kUplink, cidr(pod.spec.ips[0]).address().to_string(),
                  cidr(pod.spec.ips[1]).address().to_string());
    }
    add_party("o1", Lab::kOutside, Lab::kUplink, "192.0.2.10", "2001:db8:1::10");
    add_party("o2", Lab::kOutside, Lab::kUplink, "192.0.2.200", "2001:db8:2::200");
    add_party("o3", Lab::kOutside, Lab::kUplink, "198.51.100.7", "2001:db8:3::7");
    add_party("oh", Lab::kOutside, Lab::kUplink, "203.0.113.5", "2001:db8:5::5");
    add_party("s1", kSide, kSideInterface, "10.98.0.9", "fd98::9");
    add_party(kStray, kStray, "calistray", "10.65.0.99", "fd65::99");
    add_party(Lab::kNode, Lab::kNode, "", Lab::node_address(net::Family::v4).to_string(),
              Lab::node_address(net::Family::v6).to_string());
    lab_.add_route(party(kStray).v4, "calistray");
    lab_.add_route(party(kStray).v6, "calistray");
    lab_.add_route(party("s1").v4, kSideInterface);
    lab_.add_route(party("s1").v6, kSideInterface);
    start();
    write(resources, {});
    base_ = documents_;
}

Site::~Site() {
    daemon_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(run_dir_, ignored);
}

void Site::add_party(const std::string& name, const std::string& place, const std::string& interface,
                     const std::string& v4, const std::string& v6) {
    parties_.emplace(name, Party{name, place, ip(v4), ip(v6), interface});
}

void Site::start() {
    daemon_ = std::make_unique<Process>(io_, run_dir_, store::make_memory(database_), limits_);
    settle();
}

void Site::restart(render::DispatchLimits limits) {
    limits_ = limits;
    daemon_.reset();
    io_.restart();
    io_.poll();  // handlers of the old one
    start();
}

/// Lets everything happen that is ready to; nothing may be left undone.
void Site::settle() {
    io_.restart();
    while (io_.poll() != 0) {
    }
    const io::Dataplane::Status status = daemon_->dataplane->status();
    CAPTURE(status.problems);
    REQUIRE_FALSE(status.commit_pending);
    REQUIRE(status.in_sync);
}

// --- objects --------------------------------------------------------------------------------------------------------

void Site::write_documents(const std::map<model::Key, std::string>& puts, const std::vector<model::Key>& removals,
                           store::Checks checks) {
    std::vector<store::Op> ops;
    for (const auto& [key, document] : puts) {
        ops.emplace_back(store::Put{key, document, std::nullopt});
        documents_[key] = document;
    }
    for (const model::Key& key : removals) {
        ops.emplace_back(store::Remove{key, std::nullopt});
        documents_.erase(key);
    }
    if (ops.empty()) {
        return;
    }
    const std::size_t rounds = daemon_->rounds;
    const auto written = store_->transact(ops, checks);
    if (!written) {
        FAIL(written.error().message << '\n' << joined(written.error().details));
    }
    do {
        settle();
    } while (*written != revision_ && daemon_->rounds == rounds);
    revision_ = *written;
}

void Site::write(const std::vector<model::ResourcePtr>& puts, const std::vector<model::Key>& removals) {
    std::map<model::Key, std::string> documents;
    for (const model::ResourcePtr& resource : puts) {
        documents[resource->key()] = codec::encode(*resource);
    }
    write_documents(documents, removals);
}

void Site::apply(const std::string& yaml, bool unchecked) {
    const codec::LoadResult loaded = codec::load_yaml(yaml, "case");
    std::map<model::Key, std::string> documents;
    for (const codec::LoadedObject& object : loaded.objects) {
        REQUIRE(object.resource);
        documents[object.resource->key()] = object.document;
    }
    if (!unchecked && !loaded.ok()) {
        for (const model::Finding& finding : loaded.all_findings()) {
            UNSCOPED_INFO(finding.to_string());
        }
        FAIL("the objects of the test are not valid:\n" << yaml);
    }
    write_documents(documents, {}, unchecked ? store::Checks::own_fields_only : store::Checks::full);
}

void Site::remove(const std::vector<std::string>& names) {
    std::vector<model::Key> keys;
    for (const std::string& name : names) {
        const auto found = std::ranges::find_if(documents_, [&name](const auto& entry) {
            const model::Key& key = entry.first;
            const std::string kind(model::info(key.kind).name);
            return name == kind + "/" + (key.ns.empty() ? "" : key.ns + "/") + key.name;
        });
        INFO(name);
        REQUIRE(found != documents_.end());
        keys.push_back(found->first);
    }
    write_documents({}, keys);
}

model::WorkloadEndpoint Site::endpoint(const std::string& pod) const {
    for (const auto& [key, document] : documents_) {
        if (key.kind == model::Kind::workload_endpoint) {
            const codec::Decoded decoded = codec::decode(key.kind, document, codec::Mode::strict);
            REQUIRE(decoded.ok());
            if (const auto* found = model::as<model::WorkloadEndpoint>(*decoded.resource); found->spec.pod == pod) {
                return *found;
            }
        }
    }
    FAIL("no pod " << pod);
    return {};
}

std::vector<Event> Site::events() const {
    std::vector<Event> events;
    for (const auto& [key, document] : documents_) {
        codec::Decoded decoded = codec::decode_and_validate(key.kind, document, codec::Mode::lenient);
        REQUIRE(decoded.ok());
        events.emplace_back(ResourcePut{std::move(decoded.resource)});
    }
    events.emplace_back(StoreInSync{});
    return events;
}

std::vector<model::Key> Site::own_objects() const {
    std::vector<model::Key> keys;
    for (const auto& [key, document] : documents_) {
        const auto base = base_.find(key);
        if (base == base_.end() || base->second != document) {
            keys.push_back(key);
        }
    }
    return keys;
}

std::string Site::describe() const {
    std::string text;
    for (const model::Key& key : own_objects()) {
        const auto yaml = codec::to_yaml(documents_.at(key));
        text += "---\n" + (yaml ? *yaml : documents_.at(key));
    }
    return text;
}

std::string Site::document(const model::Key& key) const {
    const auto found = documents_.find(key);
    return found == documents_.end() ? "" : found->second;
}

void Site::revert(const model::Key& key) {
    if (const auto base = base_.find(key); base != base_.end()) {
        write_documents({{key, base->second}}, {});
    } else {
        write_documents({}, {key});
    }
}

void Site::reset() {
    std::map<model::Key, std::string> puts;
    std::vector<model::Key> removals;
    for (const auto& [key, document] : base_) {
        const auto now = documents_.find(key);
        if (now == documents_.end() || now->second != document) {
            puts[key] = document;
        }
    }
    for (const auto& [key, document] : documents_) {
        if (!base_.contains(key)) {
            removals.push_back(key);
        }
    }
    write_documents(puts, removals);
}

// --- verdicts -------------------------------------------------------------------------------------------------------

const Party& Site::party(const std::string& name) const {
    INFO(name);
    const auto found = parties_.find(name);
    REQUIRE(found != parties_.end());
    return found->second;
}

Site::Judgement Site::judge(const Party& from, const Party& to, const Packet& packet) const {
    const JourneyVerdict verdict = evaluate(snapshot(), Journey{from.interface, to.interface, packet, std::nullopt});
    Judgement judgement;
    for (const JourneyStep& step : verdict.steps) {
        judgement.trace += step_text(step) + "\n";
    }
    if (verdict.verdict == Verdict::deny) {
        judgement.fate = verdict.deny_action == DenyAction::drop ? Fate::vanishes : Fate::refused;
    }
    return judgement;
}

}  // namespace manul::felix::test
