#include <chrono>
#include <cstddef>
#include <optional>
#include <set>
#include <string>

#include "config/model/calico_node_status.hpp"
#include "config/model/checks.hpp"
#include "config/model/duration.hpp"
#include "config/model/kube_controllers_configuration.hpp"
#include "config/model/names.hpp"
#include "config/model/resource.hpp"

namespace manul::model {

namespace {

void check_node_status(Checks& checks, const CalicoNodeStatusSpec& spec) {
    checks.check(is_dns_subdomain(spec.node), "spec.node", "expected the name of a node");
    checks.check(!spec.classes.empty(), "spec.classes", "expected at least one of Agent, BGP, Routes");
    const std::set<NodeStatusClass> distinct(spec.classes.begin(), spec.classes.end());
    checks.check(distinct.size() == spec.classes.size(), "spec.classes", "a class is given twice");
}

void check_host_endpoints(Checks& checks, const AutoHostEndpoint& spec, const std::string& path) {
    std::set<std::string> names;
    for (std::size_t i = 0; i < spec.templates.size(); ++i) {
        const HostEndpointTemplate& made = spec.templates[i];
        const std::string at = indexed(path + ".templates", i);
        checks.check(is_dns_subdomain(made.generate_name), at + ".generateName",
                     "expected lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit");
        checks.check(names.insert(made.generate_name).second, at + ".generateName", "is given twice");
        checks.check(!made.interface_cidrs.empty() || !made.interface_pattern.empty(), at,
                     "needs interfaceCIDRs or interfacePattern");
        checks.selector(at + ".nodeSelector", made.node_selector);
        checks.labels(at + ".labels", made.labels);
        checks.annotations(at + ".annotations", made.annotations);
    }
}

void check_controllers(Checks& checks, const KubeControllersConfigurationSpec& spec) {
    const auto not_negative = [&](const std::optional<Duration>& time, const std::string& path) {
        checks.check(!time || time->value >= std::chrono::seconds(0), path, "must not be negative");
    };
    not_negative(spec.etcd_v3_compaction_period, "spec.etcdV3CompactionPeriod");
    const auto copier = [&](const std::optional<CopyController>& controller, const char* name) {
        if (controller) {
            not_negative(controller->reconciler_period, "spec.controllers." + std::string(name) + ".reconcilerPeriod");
        }
    };
    copier(spec.controllers.policy, "policy");
    copier(spec.controllers.workload_endpoint, "workloadEndpoint");
    copier(spec.controllers.service_account, "serviceAccount");
    copier(spec.controllers.namespace_, "namespace");
    if (const auto& node = spec.controllers.node) {
        not_negative(node->reconciler_period, "spec.controllers.node.reconcilerPeriod");
        not_negative(node->leak_grace_period, "spec.controllers.node.leakGracePeriod");
        if (node->host_endpoint) {
            check_host_endpoints(checks, *node->host_endpoint, "spec.controllers.node.hostEndpoint");
        }
    }
}

}  // namespace

void check_cluster_kinds(Checks& checks, const Resource& resource) {
    if (const auto* status = as<CalicoNodeStatus>(resource)) {
        check_node_status(checks, status->spec);
    } else if (const auto* controllers = as<KubeControllersConfiguration>(resource)) {
        check_controllers(checks, controllers->spec);
    }
}

}  // namespace manul::model
