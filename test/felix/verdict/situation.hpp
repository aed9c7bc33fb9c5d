#pragma once

#include <functional>
#include <string>
#include <vector>

#include "test/felix/verdict/site.hpp"

namespace manul::felix::test {

/// One situation of policy: starts from the cluster without policies, gets objects, and is asked for verdicts.
class Situation {
public:
    Situation() { site_.reset(); }

protected:
    /// Objects made by the functions below, together in one transaction.
    void apply(const std::vector<std::string>& documents) { site_.apply(text(documents)); }
    /// The same, and nothing else any more.
    void only(const std::vector<std::string>& documents) {
        site_.reset();
        apply(documents);
    }
    /// Without validation, as another program might have written them.
    void force(const std::vector<std::string>& documents) { site_.apply(text(documents), true); }
    void remove(const std::vector<std::string>& names) { site_.remove(names); }
    void change_pod(const std::string& name, const std::function<void(model::WorkloadEndpoint&)>& edit);

    /// Each line: "rw > rd,gw tcp 80 allow": senders, receivers, what is sent (of both families, or the one that is
    /// named), what is to happen: allow, deny or reject. Kernel and evaluator must both say so.
    ///
    ///   tcp, udp, sctp PORT [from PORT]     icmp, icmp6 TYPE[/CODE]     ping     proto NUMBER [bare]     v4, v6
    ///   options, fragments, shuffled, rest: the packet's form (wire.hpp)
    ///
    /// "rw as rd > ..." sends from the link of rw with the address of rd.
    void expect(const std::vector<std::string>& lines) { check(lines, true, false); }
    /// The same for what is decided by other things than policy, so that the evaluator knows nothing of it.
    void expect_of_kernel(const std::vector<std::string>& lines) { check(lines, false, false); }
    /// The same, among connections that earlier packets opened; with "answer" the line means the answer to it.
    void expect_later(const std::vector<std::string>& lines) { check(lines, false, true); }

    Site& site_ = Site::instance();

private:
    static std::string text(const std::vector<std::string>& documents);
    void check(const std::vector<std::string>& lines, bool ask_evaluator, bool kept);
};

/// "10.65.0.1 > 10.65.0.2 TCP 20000>80".
[[nodiscard]] std::string describe(const Packet& packet);

// YAML documents; `spec` is in flow style.
[[nodiscard]] std::string np(const std::string& ns, const std::string& name, const std::string& spec);
[[nodiscard]] std::string gnp(const std::string& name, const std::string& spec);
[[nodiscard]] std::string knp(const std::string& ns, const std::string& name, const std::string& spec);
[[nodiscard]] std::string tier_of(const std::string& name, const std::string& spec);
[[nodiscard]] std::string felix_config(const std::string& spec);
/// `rest` are further top-level fields of the document in flow style: "spec: {...}".
[[nodiscard]] std::string object(const std::string& kind, const std::string& metadata, const std::string& rest);

}  // namespace manul::felix::test
