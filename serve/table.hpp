#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/model/kind.hpp"

/// Objects as rows of text, for `kubectl get`: manulctl's columns, those of `-o wide` with a lower priority, and the
/// age.
namespace manul::serve {

struct TableOptions {
    std::string version = "v1";        ///< of meta.k8s.io: v1 or v1beta1
    std::string include = "Metadata";  ///< what each row carries of its object: None, Metadata, Object
    std::int64_t now = 0;              ///< seconds, for ages
    bool with_columns = true;          ///< column definitions; in a watch only its first event needs them
};

/// A table of documents; `list_metadata` is the JSON of its metadata.
[[nodiscard]] std::string table_of(model::Kind kind, std::span<const std::string_view> documents,
                                   std::string_view list_metadata, const TableOptions& options);
/// The table of one object, of whose version it is.
[[nodiscard]] std::string table_of(model::Kind kind, std::string_view document, const TableOptions& options);

/// A document's metadata alone, as PartialObjectMetadata of that version of meta.k8s.io.
[[nodiscard]] std::string partial_metadata(std::string_view document, std::string_view version);

/// "5m", "3h12m", "17d": as kubectl writes ages.
[[nodiscard]] std::string age_text(std::int64_t seconds);
/// Seconds since 1970 of an RFC 3339 time in UTC; -1 when it is none.
[[nodiscard]] std::int64_t parse_time(std::string_view text);

}  // namespace manul::serve
