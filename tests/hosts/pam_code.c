/* A second factor for sshd in tests: asks for a code, and lets in whoever gives the right one.
   Declared by hand what PAM's headers declare (pam_appl.h), so that no package of them is needed. */

#include <stdlib.h>
#include <string.h>

struct pam_message { int style; const char *text; };
struct pam_response { char *answer; int code; };
struct pam_conv {
    int (*ask)(int count, const struct pam_message **, struct pam_response **, void *);
    void *data;
};

extern int pam_get_item(const void *handle, int what, const void **item);

enum { SUCCESS = 0, REFUSED = 7, CONVERSATION = 5, ECHO_ON = 2 };

int pam_sm_authenticate(void *handle, int flags, int argc, const char **argv)
{
    const void *item;
    if (pam_get_item(handle, CONVERSATION, &item) != SUCCESS || item == NULL)
        return REFUSED;
    const struct pam_conv *conv = item;
    const struct pam_message message = { ECHO_ON, "Verification code: " }, *messages = &message;
    struct pam_response *response = NULL;
    if (conv->ask(1, &messages, &response, conv->data) != SUCCESS || response == NULL)
        return REFUSED;
    int right = response->answer != NULL && strcmp(response->answer, "123456") == 0;
    free(response->answer);
    free(response);
    return right ? SUCCESS : REFUSED;
}

int pam_sm_setcred(void *handle, int flags, int argc, const char **argv) { return SUCCESS; }
