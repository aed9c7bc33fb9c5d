#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "config/codec/tree.hpp"
#include "config/model/kind.hpp"
#include "config/store/store.hpp"
#include "serve/message.hpp"
#include "serve/rights.hpp"
#include "serve/status.hpp"

/// The rights of one caller on objects, policies' tiers included.
namespace manul::serve {

/// The tier that a policy document is in.
[[nodiscard]] std::string tier_of_document(const codec::Tree& document);

class Access {
public:
    Access(Caller caller, std::shared_ptr<const Rights> rights)
        : caller_(std::move(caller)), rights_(std::move(rights)) {}

    [[nodiscard]] const Caller& caller() const noexcept { return caller_; }
    [[nodiscard]] const Rights& rights() const noexcept { return *rights_; }

    /// Without looking at any object: for a policy, in every tier.
    [[nodiscard]] bool may(std::string_view verb, const model::Key& key, std::string_view subresource = {}) const;
    /// A policy in this tier.
    [[nodiscard]] bool may_in_tier(std::string_view verb, const model::Key& key, const std::string& tier) const;
    /// In at least one tier: a list then shows what is in those.
    [[nodiscard]] bool may_somewhere(std::string_view verb, const model::Key& key) const;

    /// `document` is what is stored or is to be stored; null: it does not exist, and the tier follows from its name.
    [[nodiscard]] bool may_with(std::string_view verb, const model::Key& key, const codec::Tree* document,
                                std::string_view subresource = {}) const;
    /// Whether he sees the values of all Secrets, else of those that resources refer to.
    [[nodiscard]] bool sees_secrets(std::string_view ns) const;
    [[nodiscard]] bool sees_referenced_secrets(std::string_view ns) const;

    [[nodiscard]] Problem refusal(std::string_view verb, const model::Key& key,
                                  std::string_view subresource = {}) const;

private:
    [[nodiscard]] Action action(std::string_view verb, const model::Key& key, std::string_view subresource) const;

    Caller caller_;
    std::shared_ptr<const Rights> rights_;
};

}  // namespace manul::serve
