#pragma once

#include "base/log.hpp"

namespace manul::config {

inline constexpr log::Message kBadSettings{"SETTINGS_INVALID", log::Level::error, "settings: {}",
                                           "Correct the settings file or the environment variable that is named."};
inline constexpr log::Message kReportNotWritten{
    "REPORT_NOT_WRITTEN", log::Level::warning, "NodeReport {} could not be written: {}",
    "See why the datastore refuses writes; the report is written again by itself, until then `node status` is old."};
inline constexpr log::Message kStoreNotRemembered{
    "STORE_NOT_REMEMBERED", log::Level::warning, "cannot write {}: {}",
    "Until this works a restart takes any datastore for the right one: look at space and rights of the run directory."};

}  // namespace manul::config
