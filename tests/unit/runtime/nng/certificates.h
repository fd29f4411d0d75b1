/* Certificates for tests alone, valid from 2020 to 2120: two authorities, and of each a certificate
 * for the node named `a` with its key. */
#ifndef TESTS_UNIT_RUNTIME_NNG_CERTIFICATES_H
#define TESTS_UNIT_RUNTIME_NNG_CERTIFICATES_H

static const char ca_one[] = "-----BEGIN CERTIFICATE-----\n"
                             "MIIBVzCB/aADAgECAgEBMAoGCCqGSM49BAMCMBoxGDAWBgNVBAMMD3VyZCB0ZXN0\n"
                             "IGNhIG9uZTAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowGjEYMBYG\n"
                             "A1UEAwwPdXJkIHRlc3QgY2Egb25lMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n"
                             "FMPdLvnRKyZUEKQV2DxADpU70xeJc/FfATB2I9OE5IInkO9W4SXrZuOajZGTX43j\n"
                             "sUW75FwQlEWEK3nWviKYVaMyMDAwDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQU\n"
                             "ZU2YmSSZu9JnxVXachyFfx1zeuowCgYIKoZIzj0EAwIDSQAwRgIhAP//dp/GEKMm\n"
                             "Y9JLUBEwFMgq2fxNrS/OiKdjhSmb3KWkAiEAi+e241gfW6Lgt3psGEr0IY2eodKU\n"
                             "0QF2qpBuKcmif9c=\n"
                             "-----END CERTIFICATE-----\n";

static const char cert_one[] = "-----BEGIN CERTIFICATE-----\n"
                               "MIIBDzCBtgIBAjAKBggqhkjOPQQDAjAaMRgwFgYDVQQDDA91cmQgdGVzdCBjYSBv\n"
                               "bmUwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMAwxCjAIBgNVBAMM\n"
                               "AWEwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATrkMX785rSiVuN+sj6MRbMAzno\n"
                               "MSntOycDmNWTk0JGFn75aechE/iLgpgc0W12pUbHj9H+Z7bswOm5uvvRUFUXMAoG\n"
                               "CCqGSM49BAMCA0gAMEUCIGAFWV7eAo4hsg5nAIaVwqpwnbPmsaOXaxUAdsQj21+O\n"
                               "AiEAnsO5sPhi5/u9MsIvjHY1cGb8k1D3a3Rv+GY3DReW6rk=\n"
                               "-----END CERTIFICATE-----\n";

static const char key_one[] = "-----BEGIN EC PRIVATE KEY-----\n"
                              "MHcCAQEEIEU3tPqzCoybh90HxP4rI+9WdJ/nYn08ZV+zb4vqQsXxoAoGCCqGSM49\n"
                              "AwEHoUQDQgAE65DF+/Oa0olbjfrI+jEWzAM56DEp7TsnA5jVk5NCRhZ++WnnIRP4\n"
                              "i4KYHNFtdqVGx4/R/me27MDpubr70VBVFw==\n"
                              "-----END EC PRIVATE KEY-----\n";

static const char ca_two[] = "-----BEGIN CERTIFICATE-----\n"
                             "MIIBVzCB/aADAgECAgEDMAoGCCqGSM49BAMCMBoxGDAWBgNVBAMMD3VyZCB0ZXN0\n"
                             "IGNhIHR3bzAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowGjEYMBYG\n"
                             "A1UEAwwPdXJkIHRlc3QgY2EgdHdvMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n"
                             "zK/DTRYFPiXs/MPjZbvRiRGXXxk7C8oP42pMvftOBMJ209T1J+EMakMtU1eeo3FS\n"
                             "gj/ARUV3U274Xa0RxKrJHKMyMDAwDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQU\n"
                             "dryZ/DCkpQe/QXgJDdZWQA9pB3QwCgYIKoZIzj0EAwIDSQAwRgIhAJG15mDjHc+G\n"
                             "8BAhc+gjPlA860YhNKV5PEVmqAXyaoPzAiEA4Sg2eLQVt9+5BGzmEgZrLvhvRFXI\n"
                             "xxugNesj7YIWoww=\n"
                             "-----END CERTIFICATE-----\n";

static const char cert_two[] = "-----BEGIN CERTIFICATE-----\n"
                               "MIIBDzCBtgIBBDAKBggqhkjOPQQDAjAaMRgwFgYDVQQDDA91cmQgdGVzdCBjYSB0\n"
                               "d28wIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMAwxCjAIBgNVBAMM\n"
                               "AWEwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATqQB+91TWKwNlh6yAKEw+YqMqM\n"
                               "aMLHCx/v+/UBHJ/m+z9z6P0SeOPw+PAdG63hGPD5IRKi/D2VxYAzh3hB0rYfMAoG\n"
                               "CCqGSM49BAMCA0gAMEUCIQCBV0z7gVBRwqEbliRr/29+HchBuqEyVz4akq9FKgIs\n"
                               "PAIgecWm0ZJoLHrSDYRNWivHk9GO/152SBydgrofBvOqP58=\n"
                               "-----END CERTIFICATE-----\n";

static const char key_two[] = "-----BEGIN EC PRIVATE KEY-----\n"
                              "MHcCAQEEIDJeSXprVqKSS6ZoaNU7z7S+fVDySMLoDqeooK0EDu0doAoGCCqGSM49\n"
                              "AwEHoUQDQgAE6kAfvdU1isDZYesgChMPmKjKjGjCxwsf7/v1ARyf5vs/c+j9Enjj\n"
                              "8PjwHRut4Rjw+SESovw9lcWAM4d4QdK2Hw==\n"
                              "-----END EC PRIVATE KEY-----\n";

#endif
