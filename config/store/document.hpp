#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>

#include "config/codec/tree.hpp"
#include "config/model/kind.hpp"
#include "config/store/store.hpp"

/// Stored documents as JSON text: the fields that the store itself sets, and the revision that is never stored in it.
namespace manul::store {

/// `document` with metadata.resourceVersion inserted; nothing when it is no JSON object with a `metadata` object. Only
/// walks to the place, so it costs a copy and not a parse.
[[nodiscard]] std::optional<std::string> with_resource_version(std::string_view document, std::string_view revision);

/// What callers see of a stored row. Nothing as body: the stored bytes fail their checksum.
[[nodiscard]] StoreResult<Object> object_of(model::Key key, Revision revision, std::optional<std::string_view> body);
/// The same for one row of a list, which goes on when a row is damaged.
void add_row(Listing& listing, model::Key key, Revision revision, std::optional<std::string_view> body);
[[nodiscard]] StoreError damaged(const model::Key& key);

/// Parses and checks the envelope: apiVersion, kind, metadata.name and metadata.namespace are those of `key`.
[[nodiscard]] StoreResult<boost::json::object> parse_document(const model::Key& key, std::string_view text);
/// The envelope of what is parsed already.
[[nodiscard]] StoreResult<void> check_envelope(const model::Key& key, const codec::Tree& document);

/// What a new object gets.
struct Birth {
    std::string uid;
    std::string creation_timestamp;
};

/// What is stored when `text` takes the place of the stored `before` (nothing: it is new): with uid, creationTimestamp
/// and generation (which grows with `spec`) set, and without resourceVersion. `conflict` when the document names
/// another uid than the stored one: the object was deleted and made again.
///
/// Its writer answers for the fields: only the envelope is checked, and whether `spec` changed is seen by comparing
/// texts. So a daemon that writes a block of addresses with every pod pays for a walk through it, not for parsing and
/// printing. A new document that brings uid and creationTimestamp along keeps them: it comes from another datastore.
[[nodiscard]] StoreResult<std::string> stamp_text(const model::Key& key, std::string_view text,
                                                  std::optional<std::string_view> before, const Birth& birth);

struct Stamped {
    std::string text;
    bool changes = true;  ///< false: `text` and what is stored are the same JSON value
};
/// The same for a document that was admitted: JSON values are compared, a new object's uid is always its own, and when
/// its deletion was asked for stays as stored.
[[nodiscard]] StoreResult<Stamped> stamp(const model::Key& key, const codec::Tree& document,
                                         std::optional<std::string_view> before, const Birth& birth);

/// Random UUID, version 4 (RFC 9562).
[[nodiscard]] std::string make_uid();
/// RFC 3339, UTC, seconds.
[[nodiscard]] std::string format_timestamp(std::int64_t unix_seconds);

[[nodiscard]] StoreError error(StoreError::Code code, std::string message);

}  // namespace manul::store
