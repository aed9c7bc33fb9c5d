#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/model/finding.hpp"
#include "config/model/kubernetes.hpp"
#include "config/model/policy.hpp"
#include "config/model/resource.hpp"
#include "net/port_range.hpp"

/// The parts of validate(), one file for each group of kinds; not for other modules.
namespace manul::model {

/// A path in up to three parts, which are put together only when there is something to say about it.
struct Place {
    std::string_view object;
    std::string_view field;
    std::string_view part = {};

    [[nodiscard]] std::string text() const {
        std::string out(object);
        out.append(field).append(part);
        return out;
    }
};

struct Secret;

class Checks {
public:
    void error(std::string path, std::string message) {
        findings_.push_back({.path = std::move(path), .message = std::move(message)});
    }
    void warning(std::string path, std::string message) {
        findings_.push_back(
            {.path = std::move(path), .message = std::move(message), .severity = Finding::Severity::warning});
    }
    void check(bool holds, std::string_view path, std::string_view message) {
        if (!holds) {
            error(std::string(path), std::string(message));
        }
    }
    void check(bool holds, const Place& at, std::string_view message) {
        if (!holds) {
            error(at.text(), std::string(message));
        }
    }
    /// A selector where global() may not stand; empty is fine.
    void selector(const Place& at, std::string_view text);
    void selector(std::string_view path, std::string_view text) { selector(Place{path, {}}, text); }
    void labels(std::string_view path, const StringMap& labels);
    void annotations(std::string_view path, const StringMap& annotations);
    /// Protocol with ports, for declared ports.
    void port_protocol(const std::string& path, net::Protocol protocol);

    [[nodiscard]] Findings take() { return std::move(findings_); }

private:
    Findings findings_;
};

[[nodiscard]] inline std::string indexed(std::string_view path, std::size_t index) {
    return std::string(path) + "[" + std::to_string(index) + "]";
}

/// What kind of object a rule is in; services and HTTP depend on it.
enum class RuleScope { namespaced, global, profile };
void check_rules(Checks& checks, const std::vector<Rule>& rules, PolicyType direction, RuleScope scope);

void check_metadata(Checks& checks, const Resource& resource);
void check_policy_kinds(Checks& checks, const Resource& resource);
void check_ipam_kinds(Checks& checks, const Resource& resource);
void check_bgp_kinds(Checks& checks, const Resource& resource);
void check_endpoint_kinds(Checks& checks, const Resource& resource);
void check_felix_configuration(Checks& checks, const Resource& resource);
void check_kubernetes_kinds(Checks& checks, const Resource& resource);
void check_admin_policy_kinds(Checks& checks, const Resource& resource);
void check_bgp_filter(Checks& checks, const Resource& resource);
void check_core_kinds(Checks& checks, const Resource& resource);
void check_secret_update(Checks& checks, const Secret& before, const Secret& after);
void check_cluster_kinds(Checks& checks, const Resource& resource);

// Shared by several of them.
void check_label_selector(Checks& checks, const LabelSelector& selector, const std::string& path);
/// "aa:nn" of 16 bits each, or "aa:nn:mm" of 32 bits each (RFC 1997, RFC 8092).
[[nodiscard]] bool is_community(std::string_view text);
/// `[a-zA-Z0-9_.*-]{1,15}`.
[[nodiscard]] bool is_interface_glob(std::string text);

}  // namespace manul::model
