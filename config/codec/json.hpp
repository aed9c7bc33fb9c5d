#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.hpp"
#include "config/model/finding.hpp"
#include "config/model/resource.hpp"

/// JSON documents and their typed views.
///
/// What is stored is the document; the struct is a view of it. Decoding applies read-time defaults and reports every
/// finding at once; encoding writes only what differs from the defaults. Whoever changes a stored object merges the
/// changed struct into the document that was read (`merge`), so that fields which this version does not know, and
/// values which equal a default, stay as they are.
namespace manul::codec {

enum class Mode : std::uint8_t {
    strict,   ///< writers: an unknown field is an error
    lenient,  ///< readers of the store: an unknown field is a warning (the writer may be newer)
};

struct Decoded {
    /// The view. Also there when fields are wrong (they then hold their defaults), so that what can be read is; null
    /// only when the text is not JSON or not an object of the kind.
    model::ResourcePtr resource;
    model::Findings findings;

    [[nodiscard]] bool ok() const noexcept { return resource && !model::has_errors(findings); }
};

/// Shape only: types, enums, ranges, required and unknown fields. `model::validate` knows the rest.
[[nodiscard]] Decoded decode(model::Kind kind, std::string_view document, Mode mode);
/// decode + model::validate, all findings together.
[[nodiscard]] Decoded decode_and_validate(model::Kind kind, std::string_view document, Mode mode);

/// Canonical JSON: apiVersion, kind, metadata, then fields in the order of the table; defaults left out.
[[nodiscard]] std::string encode(const model::Resource& resource);

/// `document` with the differences between `before` (its view as decoded) and `after` applied. Lists change by
/// position when their length is the same, otherwise as a whole.
[[nodiscard]] Result<std::string> merge(std::string_view document, const model::Resource& before,
                                        const model::Resource& after);

/// Adds the defaults that are stored when an object is created, where the document has none; for policies also the
/// label that names the tier.
[[nodiscard]] Result<std::string> with_creation_defaults(model::Kind kind, std::string_view document);

/// What a document says about itself, without decoding the rest. Empty texts where it says nothing.
struct Header {
    std::string api_version;
    std::string kind_name;
    std::string ns;
    std::string name;
    std::string resource_version;
    std::string uid;
};
[[nodiscard]] Result<Header> read_header(std::string_view document);

/// The fields that the store keeps; absent ones stay as they are in the document, empty ones are removed.
struct StoredFields {
    std::optional<std::string> resource_version;
    std::optional<std::string> uid;
    std::optional<std::string> creation_timestamp;
    std::optional<std::int64_t> generation;
};
/// `document` with these metadata fields replaced; nothing else changes, order and unknown fields included.
[[nodiscard]] Result<std::string> with_stored_fields(std::string_view document, const StoredFields& fields);

/// Equal as JSON values (order of keys ignored), leaving out metadata.resourceVersion, uid, generation and
/// creationTimestamp. False when either is not JSON.
[[nodiscard]] bool same_content(std::string_view a, std::string_view b);

}  // namespace manul::codec
