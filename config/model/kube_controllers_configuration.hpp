#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/model/duration.hpp"
#include "config/model/ipam_configuration.hpp"
#include "config/model/resource.hpp"
#include "net/prefix.hpp"

/// Settings of what is done once for the whole cluster.
namespace manul::model {

enum class ControllersLogSeverity : std::uint8_t { none, debug, info, warning, error, fatal, panic };
enum class AssignIps : std::uint8_t { all_services, requested_services_only };

struct HostEndpointTemplate {
    std::string generate_name;  ///< begins the names of what is made from it
    std::vector<net::Prefix> interface_cidrs;
    std::string interface_pattern;  ///< regular expression
    std::string node_selector;
    StringMap labels;
    StringMap annotations;

    bool operator==(const HostEndpointTemplate&) const = default;
};

struct AutoHostEndpoint {
    OnOff auto_create = OnOff::disabled;
    std::optional<OnOff> create_default_host_endpoint;  ///< absent: created
    std::vector<HostEndpointTemplate> templates;

    bool operator==(const AutoHostEndpoint&) const = default;
};

struct NodeController {
    std::optional<Duration> reconciler_period;  ///< absent: 5 min
    OnOff sync_labels = OnOff::enabled;
    std::optional<Duration> leak_grace_period;  ///< absent: 15 min; 0: leaks are kept
    std::optional<AutoHostEndpoint> host_endpoint;

    bool operator==(const NodeController&) const = default;
};

/// The controllers that copy Kubernetes objects in Calico; here daemons read the objects themselves.
struct CopyController {
    std::optional<Duration> reconciler_period;  ///< absent: 5 min

    bool operator==(const CopyController&) const = default;
};

struct LoadBalancerController {
    AssignIps assign_ips = AssignIps::all_services;

    bool operator==(const LoadBalancerController&) const = default;
};

struct MigrationController {
    OnOff policy_name_migrator = OnOff::enabled;

    bool operator==(const MigrationController&) const = default;
};

/// An absent controller is off.
struct Controllers {
    std::optional<NodeController> node;
    std::optional<CopyController> policy;
    std::optional<CopyController> workload_endpoint;
    std::optional<CopyController> service_account;
    std::optional<CopyController> namespace_;
    std::optional<LoadBalancerController> load_balancer;
    std::optional<MigrationController> migration;

    bool operator==(const Controllers&) const = default;
};

struct KubeControllersConfigurationSpec {
    ControllersLogSeverity log_severity_screen = ControllersLogSeverity::info;
    OnOff health_checks = OnOff::enabled;
    std::optional<Duration> etcd_v3_compaction_period;     ///< absent: 10 min
    std::optional<std::uint16_t> prometheus_metrics_port;  ///< absent: 9094; 0: off
    std::optional<std::uint16_t> debug_profile_port;
    Controllers controllers;

    bool operator==(const KubeControllersConfigurationSpec&) const = default;
};

struct KubeControllersConfiguration final : ResourceOf<Kind::kube_controllers_configuration> {
    KubeControllersConfigurationSpec spec;
};

}  // namespace manul::model
