#!/usr/bin/env bash
# Builds Debian packages out of a build directory: package.sh BUILD OUTPUT. What needs a further library, the module of a
# datastore, is a package of its own, so that nobody else installs that library.
set -euo pipefail
build=$(realpath "$1")
mkdir -p "$2"
output=$(realpath "$2")
here=$(dirname "$(realpath "$0")")
version=$(meson introspect "$build" --projectinfo | python3 -c 'import json, sys; print(json.load(sys.stdin)["version"])')
architecture=$(dpkg --print-architecture)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

DESTDIR=$work/all meson install -C "$build" --no-rebuild --quiet --strip
modules=()
for module in "$work"/all/usr/lib/*/manul/manul-store-*.so; do
    [ -e "$module" ] && modules+=("$module")
done

# control NAME DIRECTORY SYNOPSIS FURTHER-DEPENDS TEXT: DEBIAN/control with the libraries that its programs ask for, and
# what each package has in share/doc
control() {
    local name=$1 root=$2 synopsis=$3 further=$4 text=$5 programs libraries doc
    doc=$root/usr/share/doc/$name
    install -D -m 644 "$here/debian/copyright" "$doc/copyright"
    gzip -9nc "$here/../CHANGELOG.md" >"$doc/changelog.gz"
    mapfile -t programs < <(find "$root" -type f \( -perm -u+x -o -name '*.so' \) -exec sh -c \
        'readelf -d "$1" 2>/dev/null | grep -q NEEDED && echo "$1"' _ {} \;)
    mkdir -p "$work/shlibs/debian"
    : >"$work/shlibs/debian/control"
    libraries=$(cd "$work/shlibs" && dpkg-shlibdeps -O --ignore-missing-info "${programs[@]/#/-e}" 2>/dev/null |
        sed -n 's/^shlibs:Depends=//p')
    mkdir -p "$root/DEBIAN"
    cat >"$root/DEBIAN/control" <<TXT
Package: $name
Version: $version
Architecture: $architecture
Maintainer: Manul developers <manul@localhost>
Section: net
Priority: optional
Depends: $libraries${further:+, $further}
Installed-Size: $(du -sk --exclude=DEBIAN "$root" | cut -f1)
Description: $synopsis
$(fold -s -w 76 <<<"$text" | sed 's/^/ /; s/ *$//')
TXT
}

for module in "${modules[@]}"; do
    kind=$(basename "$module" .so)
    kind=${kind#manul-store-}
    root=$work/manul-$kind
    mkdir -p "$root$(dirname "${module#"$work/all"}")"
    mv "$module" "$root${module#"$work/all"}"
    control "manul-$kind" "$root" "$kind datastore for Manul" "manul (= $version)" \
        "The module with which Manul's daemons and manulctl keep their resources in $kind (datastore.type: $kind)."
done

root=$work/all
find "$root/usr/share/man" -type f -exec gzip -9n {} +
control manul "$root" "BGP-routed network and policy stack for bare metal and Kubernetes" "" \
    "A BGP speaker, address management, network policy in nftables, a CNI plugin and manulctl. Reads Calico's resources \
(projectcalico.org/v3) unchanged; keeps them in SQLite, etcd, the Kubernetes API or on a server of its own."
echo /etc/manul/manul.yaml >"$root/DEBIAN/conffiles"
install -m 755 "$here/debian/postinst" "$here/debian/prerm" "$here/debian/postrm" "$root/DEBIAN/"
for root in "$work"/all "$work"/manul-*; do
    [ -d "$root/DEBIAN" ] && dpkg-deb --root-owner-group --build "$root" "$output" >/dev/null
done
ls -1 "$output"/manul*_"${version}"_"$architecture".deb
