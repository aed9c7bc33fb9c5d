#pragma once

#include <string>

#include <boost/json/object.hpp>

#include "config/model/kind.hpp"

/// The field tables as JSON schemas, as Kubernetes' OpenAPI documents want them.
namespace manul::serve {

/// "io.projectcalico.v3.Tier"
[[nodiscard]] std::string schema_name(model::Kind kind);
/// Of a whole object; metadata is a reference to `metadata_schema_name`.
[[nodiscard]] boost::json::object kind_schema(model::Kind kind, const std::string& metadata_reference);
[[nodiscard]] boost::json::object metadata_schema();
inline constexpr const char* kMetadataSchema = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
/// [{group, version, kind}], for x-kubernetes-group-version-kind.
[[nodiscard]] boost::json::object group_version_kind(model::Kind kind);

}  // namespace manul::serve
