#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "config/model/kind.hpp"
#include "config/model/resource.hpp"
#include "config/model/workload_endpoint.hpp"
#include "config/store/memory.hpp"
#include "config/store/store.hpp"
#include "felix/calc/event.hpp"
#include "felix/calc/graph.hpp"
#include "felix/eval/evaluate.hpp"
#include "felix/eval/path.hpp"
#include "felix/io/dataplane.hpp"
#include "felix/io/datastore.hpp"
#include "felix/model/snapshot.hpp"
#include "test/felix/verdict/lab.hpp"

namespace manul::felix::test {

/// What happens to a packet as its sender sees it.
enum class Fate : std::uint8_t { arrives, vanishes, refused };
[[nodiscard]] std::string_view to_string(Fate fate) noexcept;

/// Who sends and receives in the tests: a pod of this node, one of another node, or somebody outside.
struct Party {
    std::string name;
    std::string place;  ///< of the lab
    net::Ip v4;
    net::Ip v6;
    std::string interface;  ///< of the node, behind which it is; empty for the node itself

    [[nodiscard]] net::Ip address(net::Family family) const { return family == net::Family::v4 ? v4 : v6; }
};

/// A lab with felix's own parts on its node, from the store to the kernel, and a small cluster around it:
///
///   namespaces   red {team: red, env: prod}   green {team: green, env: prod}   blue {team: blue, env: test}
///   pods         rw   red     app=web           account front {role: front}   http 8080/TCP, metrics 9100/TCP
///                rd   red     app=db            account back {role: back}     http 80/TCP, dns 53/UDP, signal
///                5060/SCTP gw   green   app=web,zone=a    account default               http 8888/TCP ga   green
///                app=api,zone=b    account front {role: api}     http 80/UDP, metrics 9100/TCP bd   blue    app=db
///                account default               http 80/TCP, dns 5353/UDP bx   blue    no labels         account
///                default               no ports
///   other node   rr   red     app=web           account front                 http 8080/TCP
///   outside      o1   in the GlobalNetworkSet partners {kind: partner}
///                o2   in no set
///                o3   in the NetworkSet suppliers of red {kind: supplier}
///                oh   the HostEndpoint router {role: router} of the other node
///   side         s1 behind another interface of the node, side0
///   stray        an interface cali... that is no endpoint's
class Site {
public:
    static Site& instance();
    ~Site();
    Site(const Site&) = delete;
    Site& operator=(const Site&) = delete;

    /// Back to the cluster above, with no policies.
    void reset();
    /// YAML documents. With `unchecked` only their envelope is looked at, as if a newer version had written them.
    void apply(const std::string& yaml, bool unchecked = false);
    /// "Kind/name" or "Kind/namespace/name".
    void remove(const std::vector<std::string>& names);
    void write(const std::vector<model::ResourcePtr>& puts, const std::vector<model::Key>& removals);
    /// The stored endpoint of a pod, to be changed and written back.
    [[nodiscard]] model::WorkloadEndpoint endpoint(const std::string& pod) const;
    /// A new process over the same store and kernel.
    void restart(render::DispatchLimits limits = {});

    [[nodiscard]] Lab& lab() noexcept { return lab_; }
    [[nodiscard]] const Party& party(const std::string& name) const;
    [[nodiscard]] const std::map<std::string, Party>& parties() const noexcept { return parties_; }
    [[nodiscard]] const Snapshot& snapshot() const noexcept { return daemon_->snapshot; }
    /// Everything that is stored, as felix learns it.
    [[nodiscard]] std::vector<Event> events() const;
    [[nodiscard]] const InterfaceAddresses& interfaces() const noexcept { return daemon_->interfaces; }
    /// Stored objects besides those of the cluster, or changed ones, as YAML.
    [[nodiscard]] std::string describe() const;
    [[nodiscard]] std::vector<model::Key> own_objects() const;
    /// The text of an object; empty when it is not stored.
    [[nodiscard]] std::string document(const model::Key& key) const;
    /// Makes an object what it is in the cluster above, or removes it.
    void revert(const model::Key& key);
    void write_documents(const std::map<model::Key, std::string>& puts, const std::vector<model::Key>& removals,
                         store::Checks checks = store::Checks::full);

    struct Judgement {
        Fate fate = Fate::arrives;
        std::string trace;  ///< where it was decided
    };
    /// The evaluator's opinion of the whole way through the node.
    [[nodiscard]] Judgement judge(const Party& from, const Party& to, const Packet& packet) const;

private:
    Site();

    /// What lives and ends with a process of felix.
    struct Process {
        Process(boost::asio::io_context& io, const std::string& run_dir, std::unique_ptr<store::Store> store,
                render::DispatchLimits limits);
        void flush();

        Graph graph;
        Snapshot snapshot;
        InterfaceAddresses interfaces;
        std::unique_ptr<io::Dataplane> dataplane;
        std::size_t rounds = 0;
        std::unique_ptr<io::Datastore> datastore;
    };
    void start();
    void settle();
    [[nodiscard]] static std::vector<Place> places();
    void add_party(const std::string& name, const std::string& place, const std::string& interface,
                   const std::string& v4, const std::string& v6);

    std::map<std::string, Party> parties_;
    Lab lab_;
    std::string run_dir_;
    render::DispatchLimits limits_;
    boost::asio::io_context io_;
    std::shared_ptr<store::MemoryDatabase> database_;
    std::unique_ptr<store::Store> store_;
    store::Revision revision_;
    std::map<model::Key, std::string> base_;
    std::map<model::Key, std::string> documents_;
    std::unique_ptr<Process> daemon_;
};

}  // namespace manul::felix::test
