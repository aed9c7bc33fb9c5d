// Boost.JSON for the plugin, without what nobody here uses: reading from and writing to streams. Those few references
// would bring the library of locales into the static program, which begins with a run through its tables and makes the
// program half as large again: more pages to be mapped for each pod. A weak reference brings nothing.
asm(".weak _ZNSi4readEPcl\n"                                                                 // istream::read
    ".weak _ZNSi6sentryC1ERSib\n"                                                            // its guard
    ".weak _ZNSo5writeEPKcl\n"                                                               // ostream::write
    ".weak _ZNSt9basic_iosIcSt11char_traitsIcEE5clearESt12_Ios_Iostate\n"                    // ios::clear
    ".weak _ZSt16__ostream_insertIcSt11char_traitsIcEERSt13basic_ostreamIT_T0_ES6_PKS3_l\n"  // operator<<
    ".weak _ZTINSt8ios_base7failureB5cxx11E\n");                                             // ios::failure

#include <boost/json/src.hpp>
