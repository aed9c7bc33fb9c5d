#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>

#include "config/model/kind.hpp"
#include "config/store/store.hpp"

/// Where each kind lives in the API, and how its objects there become documents of ours and back. Pure.
namespace manul::store::kubernetes {

/// Which custom resources hold Calico's kinds.
enum class CalicoGroup : std::uint8_t {
    classic,  ///< crd.projectcalico.org/v1, with Calico's metadata in an annotation
    v3,       ///< projectcalico.org/v3
    served,   ///< no Kubernetes at all but `manulctl serve`, where every kind is plain
};

/// How objects of a kind are kept.
enum class Form : std::uint8_t {
    plain,     ///< as they are
    classic,   ///< CalicoGroup::classic
    node,      ///< as annotations of Kubernetes' Node
    endpoint,  ///< derived from a Pod
    derived,   ///< not kept: made up by their readers
};

struct Place {
    Form form = Form::plain;
    std::string base;  ///< "/api/v1" or "/apis/<group>/<version>"
    std::string api_version;
    std::string kind;
    std::string plural;
    bool namespaced = false;
    /// Of Secrets: the one namespace whose objects are listed and followed where none is named. Empty: all.
    std::string home = {};

    /// Of the collection; an empty namespace means all, or the kind's home.
    [[nodiscard]] std::string collection(std::string_view ns) const;
    [[nodiscard]] std::string object(std::string_view ns, std::string_view name) const;
};

[[nodiscard]] Place place_of(model::Kind kind, CalicoGroup group);

/// The policies of policy.networking.k8s.io come with an extension that a cluster may lack: there are none then.
[[nodiscard]] bool is_of_extension(model::Kind kind);

/// What to tell people where the server does not know a kind that it has to; `refusal` is what the server said.
[[nodiscard]] StoreError unknown_kind(model::Kind kind, StoreError refusal);

/// A document as the rest of the program knows it, and its key. Nothing when the object is none of this kind: a pod
/// without an own network is no endpoint.
struct Translated {
    model::Key key;
    Revision revision;
    boost::json::object document;
};
[[nodiscard]] std::optional<Translated> to_document(model::Kind kind, const Place& place, boost::json::object object);

/// What is sent to the server for a document of a kind that is kept in plain or classic form.
[[nodiscard]] boost::json::object to_object(const Place& place, boost::json::object document);

/// The patch that brings a Node's annotations to what our document says.
[[nodiscard]] boost::json::object node_patch(const boost::json::object& document);

/// The pod that an endpoint's name belongs to; nothing when it is no name of a pod's endpoint.
[[nodiscard]] std::optional<std::string> pod_of_endpoint(std::string_view endpoint_name);

/// The strategic merge patch of a pod's status that records the endpoint's addresses, container and `manul.io/`
/// annotations, or takes the addresses away when `document` is null. It holds only for the pod with this uid. `before`
/// is the endpoint as it was.
[[nodiscard]] boost::json::object endpoint_patch(const boost::json::object& before, const boost::json::object* document,
                                                 const std::string& pod_uid);

/// The uid of a derived object: every byte's bits reversed but those that tell the version. Applied twice, it gives
/// the first again. Texts that are no uid come back as they are.
[[nodiscard]] std::string derived_uid(std::string_view uid);

}  // namespace manul::store::kubernetes
