#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "config/codec/managed_fields.hpp"
#include "config/codec/tree.hpp"
#include "config/model/kind.hpp"
#include "config/store/store.hpp"
#include "serve/access.hpp"
#include "serve/audit.hpp"
#include "serve/message.hpp"
#include "serve/selection.hpp"
#include "serve/status.hpp"
#include "serve/target.hpp"

/// POST, PUT, PATCH and DELETE of resources.
namespace manul::serve {

struct Written {
    std::string document;
    bool created = false;
};

/// What one write works with; references live as long as the request.
struct WriteContext {
    store::Store& store;
    const Access& access;
    const Route& route;
    const Request& request;
    std::int64_t now;
    std::vector<AuditEntry>& audit;
    std::vector<std::string>& warnings;
};

class Writer {
public:
    explicit Writer(WriteContext context);

    [[nodiscard]] Outcome<Written> create();
    [[nodiscard]] Outcome<Written> update();
    [[nodiscard]] Outcome<Written> patch();
    [[nodiscard]] Outcome<Response> remove();
    [[nodiscard]] Outcome<Response> remove_all(const Selection& selection);

private:
    /// From the stored document to the one that is wanted.
    using Change = std::function<Outcome<codec::Tree>(const codec::Tree& stored)>;

    /// What was sent, as `fieldValidation` says that it is read.
    [[nodiscard]] Outcome<codec::Tree> body();
    [[nodiscard]] Outcome<Written> create(codec::Tree document);
    [[nodiscard]] Outcome<Written> create_checked(codec::Tree document);
    /// Server-side apply.
    [[nodiscard]] Outcome<Written> apply();
    [[nodiscard]] Outcome<codec::Tree> applied_config();
    [[nodiscard]] Outcome<Written> modify(const std::string& verb, const Change& change);
    [[nodiscard]] Outcome<Written> modify_checked(const std::string& verb, const Change& change);
    struct DeleteOptions;
    [[nodiscard]] Outcome<DeleteOptions> delete_options() const;
    [[nodiscard]] Outcome<void> remove_one(const std::string& verb, const store::Object& object,
                                           const DeleteOptions& options, int attempt = 1);
    [[nodiscard]] store::StoreResult<store::Object> mark(const store::Object& object, codec::Tree document);
    /// Whether a change takes away the last finalizer of an object whose deletion was asked for; refused when it adds
    /// one.
    [[nodiscard]] Outcome<bool> lets_go(const codec::Tree& document, const codec::Tree& stored) const;
    /// The object as it was last; it is gone.
    [[nodiscard]] Outcome<store::Object> let_go(const std::string& text, const store::Object& before);

    /// apiVersion, kind, name and namespace are those of the path.
    [[nodiscard]] Outcome<void> check_envelope(codec::Tree& document);
    /// The text to store: every field is known and valid, or the refusal says all that is wrong.
    [[nodiscard]] Outcome<std::string> validated(codec::Tree document, const codec::Tree* stored);
    /// Of a Secret: texts encoded, masked values put back.
    [[nodiscard]] Outcome<void> complete(codec::Tree& document, const codec::Tree* before) const;
    [[nodiscard]] codec::FieldWriter field_writer() const;
    /// Drops what no field is, where `fieldValidation` asks for that: before owners of fields are recorded.
    void prune_unknown(codec::Tree& document, const codec::Tree* stored);
    void warn(const std::string& what);
    [[nodiscard]] Outcome<store::Object> commit(const std::string& text, const store::Object* before);
    [[nodiscard]] Outcome<store::Object> dry_run(const std::string& text, const store::Object* before) const;
    [[nodiscard]] Outcome<void> read_options();

    WriteContext context_;
    model::Key key_;
    std::string subresource_;
    bool dry_run_ = false;
    bool held_ = false;     ///< what was to be removed stays until its last finalizer is gone
    bool applies_ = false;  ///< the document at hand has its owners already
    std::string before_;    ///< for the audit log
    std::string after_;
};

/// Who owns the fields that a request changes when it does not say so.
[[nodiscard]] std::string manager_of(const Request& request);

/// A role or binding gives no right that its writer does not have, nor does the record of a change that undoes itself.
[[nodiscard]] Outcome<void> check_grants(const Access& access, const model::Key& key, std::string_view document);

}  // namespace manul::serve
