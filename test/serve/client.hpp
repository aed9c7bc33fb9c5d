#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/codec/json.hpp"
#include "config/codec/tree.hpp"
#include "config/store/memory.hpp"
#include "config/store/store.hpp"
#include "serve/api.hpp"
#include "serve/page_cache.hpp"
#include "serve/rights.hpp"

namespace manul::test {

/// One API over a store in memory, and a caller.
struct Client {
    std::unique_ptr<store::Store> store = store::make_memory();
    serve::PageCache pages;
    serve::Caller caller{.user = "admin", .uid = "", .groups = {serve::kAdminGroup}};
    std::vector<model::ResourcePtr> roles;
    std::int64_t now = 1'800'000'000;
    std::string accept = "application/json";
    std::vector<serve::AuditEntry> audit;
    std::vector<std::pair<std::string, std::string>> headers;

    serve::Answer ask(const std::string& method, const std::string& target, const std::string& body = {},
                      const std::string& type = "application/json") {
        serve::Api api(*store, pages);
        serve::Answer answer =
            api.handle({.method = method, .target = target, .body = body, .content_type = type, .accept = accept},
                       caller, {serve::Rights::make(roles), now});
        audit.insert(audit.end(), answer.audit.begin(), answer.audit.end());
        headers = answer.response.headers;
        return answer;
    }
    /// The answer's body, behind its code: "404 NotFound tiers… not found" of a Status.
    std::string say(const std::string& method, const std::string& target, const std::string& body = {},
                    const std::string& type = "application/json") {
        const serve::Response response = ask(method, target, body, type).response;
        const auto tree = codec::parse_json(response.body);
        std::string out = std::to_string(response.status);
        if (tree && tree->text_at("kind") == "Status" && response.status >= 300) {
            out += " " + std::string(tree->text_at("reason")) + " " + std::string(tree->text_at("message"));
        }
        return out;
    }
    /// The answer as a tree.
    codec::Tree json(const std::string& method, const std::string& target, const std::string& body = {},
                     const std::string& type = "application/json") {
        return codec::parse_json(ask(method, target, body, type).response.body).value_or(codec::Tree{});
    }
    void grant(const std::string& user, const std::string& rules) {
        const std::string name = "role-" + std::to_string(roles.size());
        roles.push_back(codec::decode(model::Kind::cluster_role,
                                      R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":)"
                                      R"({"name":")" +
                                          name + R"("},"rules":)" + rules + "}",
                                      codec::Mode::strict)
                            .resource);
        bind(user, name);
    }
    void bind(const std::string& user, const std::string& role) {
        roles.push_back(
            codec::decode(model::Kind::cluster_role_binding,
                          R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":)"
                          R"({"name":"b"},"subjects":[{"kind":"User","name":")" +
                              user +
                              R"(","apiGroup":"rbac.authorization.k8s.io"}],"roleRef":{"kind":"ClusterRole","name":")" +
                              role + R"(","apiGroup":"rbac.authorization.k8s.io"}})",
                          codec::Mode::strict)
                .resource);
    }
};

inline const std::string kPolicies = "/apis/projectcalico.org/v3/globalnetworkpolicies";
inline const std::string kSets = "/apis/projectcalico.org/v3/globalnetworksets";

inline std::string policy(const std::string& name, const std::string& spec = R"({"selector":"a == 'b'"})",
                          const std::string& metadata = "") {
    return R"({"apiVersion":"projectcalico.org/v3","kind":"GlobalNetworkPolicy","metadata":{"name":")" + name + "\"" +
           metadata + R"(},"spec":)" + spec + "}";
}

inline std::string network_set(const std::string& name, const std::string& metadata = "",
                               const std::string& net = "10.0.0.0/8") {
    return R"({"apiVersion":"projectcalico.org/v3","kind":"GlobalNetworkSet","metadata":{"name":")" + name + "\"" +
           metadata + R"(},"spec":{"nets":[")" + net + "\"]}}";
}

/// How many a list has.
inline std::size_t items(const codec::Tree& list) {
    const codec::Tree* found = list.find("items");
    return found == nullptr ? 9999 : found->children.size();
}

}  // namespace manul::test
