#pragma once

#include "base/log.hpp"

namespace manul::serve {

inline constexpr log::Message kListening{"SERVE_LISTENING", log::Level::info, "serving the API on {}",
                                         "No action needed."};
inline constexpr log::Message kRightsUnread{
    "SERVE_RIGHTS_UNREAD", log::Level::warning, "roles and bindings cannot be read: {}",
    "Requests are judged by what was read last; group system:masters may still do everything. Check the datastore."};
inline constexpr log::Message kAuditFailed{
    "SERVE_AUDIT_FAILED", log::Level::error, "the audit log {} cannot be written: {}",
    "Free space on its file system: until then writes are done and not recorded."};
inline constexpr log::Message kFilesUnread{
    "SERVE_FILES_UNREAD", log::Level::warning, "{}",
    "The certificate or token file was changed and cannot be used; what was read before stays in force."};
inline constexpr log::Message kChangeUndone{
    "SERVE_CHANGE_UNDONE", log::Level::warning, "nobody confirmed the change: {} objects are as they were before",
    "Correct the change, and apply it again. `manulctl policy impact -f FILE` shows beforehand what it does."};
inline constexpr log::Message kRollbackFailed{"SERVE_ROLLBACK_FAILED", log::Level::warning,
                                              "cannot write the old versions back: {}; trying again in {} s",
                                              "Look at the datastore."};
inline constexpr log::Message kNamespaceGone{"SERVE_NAMESPACE_GONE", log::Level::info,
                                             "namespace {}, whose deletion was asked for earlier, is gone",
                                             "No action needed."};
inline constexpr log::Message kFilesRead{"SERVE_FILES_READ", log::Level::info, "{} was read again",
                                         "No action needed."};

}  // namespace manul::serve
