// How the plugin's process begins: __libc_start_main of the static glibc without its questions to the processor.
//
// Before main(), glibc asks the processor for its features and caches with some eighty CPUID instructions, to choose
// among versions of memcpy and the like. In a virtual machine each of them is an exit to the hypervisor (8 us on a
// cloud machine), 0.7 ms in all: as much as everything else that an ADD makes the plugin do. A process that lives for
// a millisecond has no use for the choice, and the versions for plain x86-64 are right on every processor.
//
// This is the sequence of glibc 2.36 (csu/libc-start.c, static case) with that step left out; cni/meson.build takes it
// for exactly that version and otherwise leaves glibc's own in place, which costs time and nothing else. What the
// resolvers of versions (IRELATIVE relocations) look at stays zero, "no feature", and the limits that they would have
// worked out from the caches are constants here.
#include <elf.h>

#include <cstdint>
#include <cstdlib>

extern "C" {

// NOLINTBEGIN(bugprone-reserved-identifier): the C library's own names
using Main = int (*)(int, char**, char**);
using Hook = void (*)(int, char**, char**);

extern char** __environ;
extern void* __libc_stack_end;
extern const std::uintptr_t* _dl_random;  // 16 random bytes of the kernel
extern const Elf64_Rela __rela_iplt_start[];
extern const Elf64_Rela __rela_iplt_end[];
extern const Hook __preinit_array_start[];
extern const Hook __preinit_array_end[];
extern const Hook __init_array_start[];
extern const Hook __init_array_end[];

void _dl_aux_init(const Elf64_auxv_t* values);
void __tunables_init(char** environment);
void __libc_setup_tls();
void __libc_early_init(bool initial);
void __libc_init_first(int count, char** arguments, char** environment);
void _init();

// What memcpy and memset of plain x86-64 go by: a processor with 32 KiB and 1 MiB of cache.
extern long int __x86_data_cache_size_half;
extern long int __x86_data_cache_size;
extern long int __x86_shared_cache_size_half;
extern long int __x86_shared_cache_size;
extern long int __x86_shared_non_temporal_threshold;
extern long int __x86_rep_movsb_threshold;
extern long int __x86_rep_stosb_threshold;
extern long int __x86_rep_movsb_stop_threshold;
extern int __x86_string_control;
long int __x86_data_cache_size_half = 16 * 1024;
long int __x86_data_cache_size = 32 * 1024;
long int __x86_shared_cache_size_half = 512 * 1024;
long int __x86_shared_cache_size = 1024 * 1024;
long int __x86_shared_non_temporal_threshold = 768 * 1024;
long int __x86_rep_movsb_threshold = 2048;
long int __x86_rep_stosb_threshold = 2048;
long int __x86_rep_movsb_stop_threshold = 768 * 1024;
int __x86_string_control = 0;

/// sysconf() about caches: unknown.
long int __cache_sysconf(int name);
long int __cache_sysconf(int /*name*/) { return 0; }

/// $ORIGIN of libraries to be loaded later: none are, and finding out is a walk through /proc.
const char* _dl_get_origin();
const char* _dl_get_origin() { return reinterpret_cast<const char*>(-1); }

[[noreturn]] int __libc_start_main(Main main, int count, char** arguments, Hook init, void (*fini)(),
                                   void (*rtld_fini)(), void* stack_end);
[[gnu::no_stack_protector, noreturn]] int __libc_start_main(Main main, int count, char** arguments, Hook /*init*/,
                                                            void (* /*fini*/)(), void (* /*rtld_fini*/)(),
                                                            void* stack_end) {
    __environ = arguments + count + 1;
    __libc_stack_end = stack_end;
    char** end = __environ;
    while (*end != nullptr) {
        ++end;
    }
    _dl_aux_init(reinterpret_cast<const Elf64_auxv_t*>(end + 1));
    __tunables_init(__environ);
    for (const Elf64_Rela* entry = __rela_iplt_start; entry < __rela_iplt_end; ++entry) {
        const auto resolve = reinterpret_cast<std::uintptr_t (*)()>(entry->r_addend);
        *reinterpret_cast<std::uintptr_t*>(entry->r_offset) = resolve();
    }
    __libc_setup_tls();
    // Where the compiler and the library look for the guards of the stack and of stored pointers.
    asm volatile("movq %0, %%fs:0x28" : : "r"(_dl_random[0] & ~std::uintptr_t{0xff}));
    asm volatile("movq %0, %%fs:0x30" : : "r"(_dl_random[1]));
    __libc_early_init(true);
    __libc_init_first(count, arguments, __environ);
    for (const Hook* hook = __preinit_array_start; hook < __preinit_array_end; ++hook) {
        (*hook)(count, arguments, __environ);
    }
    _init();
    for (const Hook* hook = __init_array_start; hook < __init_array_end; ++hook) {
        (*hook)(count, arguments, __environ);
    }
    std::exit(main(count, arguments, __environ));
}
// NOLINTEND(bugprone-reserved-identifier)

}  // extern "C"
