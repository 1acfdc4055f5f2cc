#!/bin/sh
# Makes every secret that compose.yaml names and that is not there: an authority, certificates, passwords, a partner's
# key. Run it again after naming a new one. Only its owner may enter the directory; the files in it can be read by
# every user, because each is mounted alone, into containers whose users have other numbers.
#
# usage: secrets.sh [DIRECTORY]        ./secrets beside compose.yaml unless named
set -eu

here=$(cd "$(dirname "$0")" && pwd)
directory=${1:-$here/secrets}
days=397

umask 022
mkdir -p "$directory/passwords"
chmod 700 "$directory"
cd "$directory"

key() { openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" && chmod 444 "$1"; }

random() { openssl rand -hex 32; }

# The certificate of $1 for the names and addresses $2, and both in one file as Java servers read them.
certificate() {
    [ -e "$1.pem" ] && return
    key "$1.key"
    printf 'subjectAltName=%s\nbasicConstraints=critical,CA:false\nextendedKeyUsage=serverAuth,clientAuth\n' "$2" >extensions
    printf 'keyUsage=critical,digitalSignature\n' >>extensions
    openssl req -new -key "$1.key" -subj "/CN=$1" -out request
    openssl x509 -req -in request -CA ca.pem -CAkey ca.key -days "$days" -sha256 -extfile extensions -out "$1.crt" 2>/dev/null
    cat "$1.key" "$1.crt" >"$1.pem"
    rm request extensions
}

if [ ! -e ca.pem ]; then
    key ca.key
    chmod 600 ca.key
    openssl req -x509 -new -key ca.key -subj "/CN=ordersync authority" -days 3650 -sha256 \
        -addext "basicConstraints=critical,CA:true,pathlen:0" -addext "keyUsage=critical,keyCertSign,cRLSign" -out ca.pem
fi
for number in 1 2 3; do
    certificate "kafka-$number" "DNS:kafka-$number,DNS:localhost,IP:127.0.0.1"
done
certificate postgres "DNS:postgres,DNS:localhost,IP:127.0.0.1"
certificate api "DNS:api,DNS:localhost,IP:127.0.0.1"
certificate console "DNS:console,DNS:localhost,IP:127.0.0.1"
certificate admin "DNS:admin"

sed -n 's|^ *file: \./secrets/passwords/||p' "$here/compose.yaml" | while read -r name; do
    [ -e "passwords/$name" ] || random >"passwords/$name"
done

# Everybody may read schemas; who deploys them may write. Made anew each time, so that it follows the passwords.
{
    printf 'apicurio.datasource.password=%s\n' "$(cat passwords/registry)"
    printf '%s=true\n' quarkus.http.auth.basic quarkus.security.users.embedded.plain-text \
        apicurio.auth.role-based-authorization apicurio.auth.anonymous-read-access.enabled
    for name in admin deployer; do
        printf 'quarkus.security.users.embedded.users.%s=%s\n' "$name" "$(cat "passwords/$name")"
        printf 'quarkus.security.users.embedded.roles.%s=sr-admin\n' "$name"
    done
} >registry.properties

# The first partner: whoever has the file partner.key may place orders. The service needs its hash only.
if [ ! -e clients.toml ]; then
    random | tr -d '\n' >partner.key
    chmod 600 partner.key
    cat >clients.toml <<END
[[clients]]
name = "partner"
key_sha256 = ["$(sha256sum <partner.key | cut -d' ' -f1)"]
scopes = ["orders:write", "orders:read", "documents:write", "documents:read"]
systems = ["partner"]
requests_per_second = 500
burst = 1000
END
fi
echo "secrets in $directory: $(ls passwords | wc -l) passwords, authority and certificates; keep ca.key and partner.key elsewhere"
