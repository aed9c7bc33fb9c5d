#pragma once

#include <optional>

#include <boost/json/object.hpp>

/// WorkloadEndpoints as they follow from Pods. Pure; the name, patch and uid functions are in documents.hpp.
namespace manul::store::kubernetes {

/// The endpoint's document without apiVersion and kind. Nothing for a pod that has no network of its own or no node.
/// Its addresses are those that manul-ipamd recorded in a condition of the status, else the status' own; none once it
/// ended. Annotations are anybody's who may change the Pod, and give it no address.
[[nodiscard]] std::optional<boost::json::object> endpoint_of_pod(const boost::json::object& pod);

}  // namespace manul::store::kubernetes
