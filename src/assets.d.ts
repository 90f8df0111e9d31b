/** A text file that is part of the executable. */
declare module "*.sql" {
  const text: string;
  export default text;
}
