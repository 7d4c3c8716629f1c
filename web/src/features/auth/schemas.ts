/** What the forms check before they ask; the server has the last word. */
import * as z from "zod/mini";

// As the rules of auth.
const PASSWORD_LENGTH_MIN = 8;
const PASSWORD_LENGTH_MAX = 256;
const NAME_LENGTH_MAX = 100;

const email = z
  .string()
  .check(z.trim(), z.regex(/^[^@\s]{1,64}@[^@\s]{1,253}$/, "Enter an e-mail address, such as ada@example.com."));

const newPassword = z
  .string()
  .check(
    z.minLength(PASSWORD_LENGTH_MIN, `At least ${PASSWORD_LENGTH_MIN} characters.`),
    z.maxLength(PASSWORD_LENGTH_MAX, `At most ${PASSWORD_LENGTH_MAX} characters.`),
  );

export const signUpSchema = z.object({
  name: z
    .string()
    .check(
      z.trim(),
      z.minLength(1, "Enter the name we should call you by."),
      z.maxLength(NAME_LENGTH_MAX, `At most ${NAME_LENGTH_MAX} characters.`),
    ),
  email,
  password: newPassword,
});

export const signInSchema = z.object({
  email,
  password: z.string().check(z.minLength(1, "Enter your password.")),
});

export const secondFactorSchema = z.object({
  code: z
    .string()
    .check(z.trim(), z.regex(/^[0-9A-Za-z -]{6,32}$/, "Enter the six digits of the app, or a recovery code.")),
});

export const forgotSchema = z.object({ email });

export const resetSchema = z.object({
  code: z.string().check(z.trim(), z.regex(/^[0-9]{6}$/, "A code has six digits.")),
  new_password: newPassword,
});

export type ForgotValues = z.infer<typeof forgotSchema>;
export type ResetValues = z.infer<typeof resetSchema>;
export type SecondFactorValues = z.infer<typeof secondFactorSchema>;
export type SignUpValues = z.infer<typeof signUpSchema>;
export type SignInValues = z.infer<typeof signInSchema>;

export const PASSWORD_HINT = `At least ${PASSWORD_LENGTH_MIN} characters. A few words in a row are easy to keep.`;
