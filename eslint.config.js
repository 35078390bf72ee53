import tseslint from 'typescript-eslint';

const enumRules = (severity) => ({
  '@typescript-eslint/no-unsafe-enum-assignment': severity,
  '@typescript-eslint/no-unsafe-enum-comparison': severity,
});

export default tseslint.config(
  {
    ignores: [
      'dist/',
      'build/',
      '.tap/',
      'src/spec/generated/',
      'bundles/*/rootfs/',
      'eslint.config.js',
      'packaging/*.cjs',
    ],
  },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { project: './tsconfig.test.json', tsconfigRootDir: import.meta.dirname } },
    rules: {
      // A template is how a message is made; numbers, big integers and booleans read well in it.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      // There are none: erasableSyntaxOnly refuses them. Looking for them took a tenth of the time all the same.
      ...enumRules('off'),
      'max-lines': ['error', { max: 400 }],
      'max-lines-per-function': ['error', { max: 70, skipBlankLines: true, skipComments: true }],
    },
  },
  {
    files: ['test/**', 'conformance/**'],
    rules: { 'max-lines-per-function': 'off', '@typescript-eslint/no-floating-promises': 'off' },
  },
  // What reads the source has the enums of TypeScript.
  { files: ['test/mutation/**', 'test/rules/**'], rules: enumRules('error') },
);
