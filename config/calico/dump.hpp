#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/codec/tree.hpp"

/// Dumps of a datastore that Calico wrote, as documents of projectcalico.org/v3 and Kubernetes' own kinds.
///
/// Three forms are read: what `etcdctl get --prefix /calico -w json` prints; objects of crd.projectcalico.org/v1 as
/// `kubectl get -o yaml` prints them; and the third part of what `calicoctl datastore migrate export` writes.
///
/// Out go documents whose fields nobody checked yet. Names of blocks, affinities and handles are provisional: readers
/// go by `spec`. Nothing that decides about packets is dropped without a note.
namespace manul::calico {

struct Converted {
    std::vector<codec::Tree> documents;
    std::vector<std::string> notes;   ///< what is left out or called otherwise now
    std::vector<std::string> errors;  ///< what cannot be understood
};

/// Whether the document is the answer of etcdctl, or calicoctl's part about addresses.
[[nodiscard]] bool is_etcd_dump(const codec::Tree& document) noexcept;
[[nodiscard]] bool is_address_export(const codec::Tree& document) noexcept;

/// `for_kubernetes`: the copies that Calico's controllers made of Kubernetes' policies, namespaces and service accounts
/// are left out, since the originals are there. Elsewhere nothing else holds them: policies stay in force as policies
/// of their own, profiles become Namespaces and ServiceAccounts.
[[nodiscard]] Converted from_etcd_dump(const codec::Tree& dump, bool for_kubernetes);
[[nodiscard]] Converted from_address_export(const codec::Tree& document);

/// Whether the document's apiVersion is crd.projectcalico.org/v1.
[[nodiscard]] bool is_custom_resource(const codec::Tree& document) noexcept;
[[nodiscard]] Converted from_custom_resource(codec::Tree object);

}  // namespace manul::calico
